/*
 * 16-bit code for the clock: a boot sector and two more, read from floppy. It runs one row of work in
 * real or virtual-8086 mode and ends by a triple fault (-no-reboot), so that the same image serves
 * plex86 and QEMU. bench/sixteen puts the row, the mode and the number of rounds behind the first jump.
 */
	.code16
	.globl _start
INNER = 10000

_start:	jmp start
	.org 4
row:	.byte 0
vm86:	.byte 0
	.word 0
rounds:	.long 1

start:	cli
	ljmpw $0, $1f
1:	xor %ax, %ax
	mov %ax, %ds
	mov %ax, %es
	mov $0x1000, %bx
	mov %bx, %ss
	mov $0xFFF0, %sp
	sti
	mov $0x0202, %ax		/* read two sectors */
	mov $0x7E00, %bx
	mov $2, %cx
	mov $0, %dh
	int $0x13
	jc end
	cli
	cmpb $0, vm86
	jne protected
go:	xor %ax, %ax
	mov %ax, %ds
	movzbw row, %bx
	add %bx, %bx
	mov rows(%bx), %bp
	mov rounds, %edx
	mov $0x2000, %ax
	mov %ax, %ds
	mov $0x3000, %ax
	mov %ax, %es
1:	push %edx
	push %bp
	mov $INNER, %cx
	call *%bp
	pop %bp
	pop %edx
	dec %edx
	jnz 1b
end:	xor %ax, %ax
	mov %ax, %ds
	cmpb $0, vm86
	je 1f
	hlt				/* #GP, and there is no IDT */
1:	lidt none
	int3

/* --- into virtual-8086 mode: IOPL 3, no paging --- */
protected:
	lgdt gdt_at
	lidt none
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmpl $8, $2f
	.code32
2:	mov $16, %ax
	mov %ax, %ss
	mov $0x9000, %esp
	mov $24, %ax
	ltr %ax
	push $0				/* gs, fs, ds, es, ss */
	push $0
	push $0
	push $0
	push $0x1000
	push $0xFFF0
	push $0x23002			/* VM, IOPL 3 */
	push $0
	push $go
	iret
	.code16

	.balign 8
gdt:	.quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0x0000890090000067
gdt_at:	.word 31
	.long gdt
none:	.word 0
	.long 0
	.org 510
	.word 0xAA55

rows:	.word r_nothing, r_alu, r_memory, r_calls, r_strings, r_segments, r_far, r_int

r_nothing:
	loop r_nothing
	ret

r_alu:	imul $75, %ax, %ax			/* 10 instructions a time */
	add $74, %ax
	mov %ax, %dx
	shr $3, %dx
	xor %dx, %si
	adc %si, %di
	rol $1, %di
	lea 3(%bx,%si), %bx
	dec %cx
	jnz r_alu
	ret

r_memory:
	mov (%bx), %ax				/* 10 */
	add 2(%bx,%si), %ax
	mov %ax, %es:(%bx)
	xor %al, 0x400
	mov 0x402, %dx
	addw %dx, %es:6(%si)
	add $2, %bx
	and $0x3FFE, %bx
	dec %cx
	jnz r_memory
	ret

r_calls:
	push %cx				/* 16 */
	push $5
	call 1f
	add $2, %sp
	pop %cx
	dec %cx
	jnz r_calls
	ret
1:	push %bp
	mov %sp, %bp
	sub $4, %sp
	mov 4(%bp), %ax
	mov %ax, -2(%bp)
	add -2(%bp), %dx
	add %dx, %si
	leave
	ret

r_strings:
	xor %si, %si				/* 6 a time, from here */
	xor %di, %di
	cld
1:	lodsb
	xor %cl, %al
	stosb
	cmpsb
	scasb
	loop 1b
	ret

r_segments:
	push %ds				/* 9 */
	mov %es, %ax
	mov %ax, %ds
	les (0), %bx
	mov %ds, %dx
	mov %dx, %es
	pop %ds
	dec %cx
	jnz r_segments
	ret

r_far:	lcallw $0x0700, $1f - 0x7000		/* 5 */
	inc %ax
	dec %cx
	jnz r_far
	ret
1:	lretw

r_int:	push %ds				/* the vector first; then 4 a time */
	xor %ax, %ax
	mov %ax, %ds
	movw $1f, (0x80 * 4)
	movw $0, (0x80 * 4 + 2)
	pop %ds
2:	int $0x80
	dec %cx
	jnz 2b
	ret
1:	iretw
	.org 1536
