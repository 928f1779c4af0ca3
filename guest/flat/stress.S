/*
 * What an engine must get right at any instant: timer interrupts at up to 12 kHz and page faults, in ring 0
 * and in ring 3, during string instructions, calls that are never returned from, recursion, carry
 * chains, x87 and SSE. Every round checks its own results. Two address spaces take turns.
 * Each interrupt asks for the next: a rate of its own the timer would keep on a host that is too busy for it,
 * and ticks that are owed leave no time for anything else.
 */
#include "pc.inc"
	.set ROUNDS, 16
	.set USER_ROUNDS, 6		/* at a stretch, for an engine that treats busy address spaces otherwise */
	.set PD, 0x140000		/* two page directories, and their page tables 8 KiB behind */
	.set PT_OFF, 0x2000
	.set STACK_INT, 0x160000	/* of interrupts out of ring 3 */
	.set STACK_USER, 0x170000
	.set STACK, 0x178000
	.set DATA, 0x200000		/* 64 pages mapped on demand */
	.set DATA_PAGES, 64
	.set TICK, 100			/* of 1.19 MHz */

	.globl _start
_start:
	cld
	mov $STACK, %esp
	lgdt gdtr
	ljmp $0x08, $1f
1:	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $tss, %eax
	mov %ax, gdt + 0x28 + 2
	shr $16, %eax
	mov %al, gdt + 0x28 + 4
	mov $0x28, %eax
	ltr %ax
	gate 0x20, tick
	gate 14, page_fault
	gate 13, unexpected
	gate 6, unexpected
	gate 0x80, service, 0xEE00
	lidt idtr
	pics_with_irq_0
	write_port 0x43, 0x10		/* mode 0, low byte: one tick for each count */
	write_port 0x40, TICK

	mov $PD, %edi			/* 4 MiB at their own addresses, for everyone */
	xor %eax, %eax
	mov $0x1000, %ecx
	rep stosl
	movl $PD + PT_OFF + 7, PD
	movl $PD + 0x1000 + PT_OFF + 7, PD + 0x1000
	mov $7, %eax
	mov $PD + PT_OFF, %edi
1:	mov %eax, 0x1000(%edi)
	stosl
	add $0x1000, %eax
	cmp $0x400007, %eax
	jb 1b
	xor %eax, %eax
	mov $PD + PT_OFF + (DATA >> 12) * 4, %edi
	mov $DATA_PAGES, %ecx
	rep stosl
	mov $PD + 0x1000 + PT_OFF + (DATA >> 12) * 4, %edi
	mov $DATA_PAGES, %ecx
	rep stosl
	mov $PD, %eax
	mov %eax, %cr3
	mov %cr4, %eax
	or $0x200, %eax			/* OSFXSR */
	mov %eax, %cr4
	mov %cr0, %eax
	and $~0xC, %eax
	or $0x80010022, %eax		/* PG, WP, NE, MP */
	mov %eax, %cr0
	fninit
	sti

next:	call round			/* in ring 0 */
	mov $0x23, %eax
	mov %eax, %ds
	mov %eax, %es
	push $0x23
	push $STACK_USER
	push $0x202
	push $0x1B
	push $user
	iret
user:	mov $USER_ROUNDS, %ecx		/* in ring 3 */
1:	push %ecx
	call round
	pop %ecx
	loop 1b
	mov $1, %eax
	int $0x80
back:	mov $STACK, %esp
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	sti
	incl rounds
	cmpl $ROUNDS, rounds
	jb next
	cli
	cmpl $0, ticks
	je unexpected
	print "every round was right\n"
	power_off

/* EAX 0: take the data pages away and go to the other address space, 1: ring 3 is done. */
service:
	test %eax, %eax
	jnz back
	push %ecx
	mov %cr3, %eax
	mov $DATA_PAGES, %ecx
1:	movl $0, PT_OFF + (DATA >> 12) * 4 - 4(%eax, %ecx, 4)
	loop 1b
	testl $1, rounds
	jz 2f
	mov $DATA, %ecx
1:	invlpg (%ecx)
	add $0x1000, %ecx
	cmp $DATA + DATA_PAGES * 0x1000, %ecx
	jb 1b
	jmp 3f
2:	xor $0x1000, %eax
3:	mov %eax, %cr3
	pop %ecx
	xor %eax, %eax
	iret

tick:	push %eax
	incl ticks
	write_port 0x20, 0x20
	write_port 0x40, TICK
	pop %eax
	iret

/* A read maps the page read-only, a write writable. */
page_fault:
	incl faults
	push %eax
	push %ecx
	mov %cr2, %eax
	cmp $DATA, %eax
	jb unexpected
	cmp $DATA + DATA_PAGES * 0x1000, %eax
	jae unexpected
	and $~0xFFF, %eax
	mov %cr3, %ecx
	push %eax
	shr $10, %eax
	add %eax, %ecx
	pop %eax
	or $5, %eax
	testb $2, 8(%esp)
	jz 1f
	or $2, %eax
1:	mov %eax, PT_OFF(%ecx)
	mov %cr2, %eax
	invlpg (%eax)
	pop %ecx
	pop %eax
	add $4, %esp
	iret

unexpected:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	print "a fault out of place\n"
	power_off

wrong:	ud2				/* ring 3 could not print */

round:	xor %eax, %eax
	int $0x80
	mov faults, %eax
	mov %eax, faults_before
	/* strings, over page ends, unaligned */
	mov rounds, %eax
	imul $0x01030507, %eax, %eax
	mov $DATA, %edi
	mov $0x4000, %ecx
1:	stosl
	add $0x9E3779B1, %eax
	loop 1b
	mov $DATA + 0x10000, %edi
	mov $0x1FFF, %ecx
	rep stosl
	test %ecx, %ecx
	jne wrong
	cmp $DATA + 0x17FFC, %edi
	jne wrong
	mov $DATA + 3, %esi
	mov $DATA + 0x20001, %edi
	mov $0xF123, %ecx
	rep movsb
	cmp $DATA + 3 + 0xF123, %esi
	jne wrong
	cmp $DATA + 0x20001 + 0xF123, %edi
	jne wrong
	mov $DATA + 3, %esi
	mov $DATA + 0x20001, %edi
	mov $0xF123, %ecx
	repe cmpsb
	jne wrong
	cmp $DATA + 0x20001 + 0xF123, %edi
	jne wrong
	incb DATA + 0x2C765
	mov $DATA + 3, %esi
	mov $DATA + 0x20001, %edi
	mov $0xF123, %ecx
	repe cmpsb
	je wrong
	cmp $DATA + 0x2C766, %edi
	jne wrong
	decb DATA + 0x2C765
	mov $DATA + 0x30000, %edi
	mov $0xFFFF, %ecx
	mov $0x5A, %al
	rep stosb
	movb $0xA5, (%edi)
	mov $DATA + 0x30000, %edi
	mov $0x20000, %ecx
	mov $0xA5, %al
	repne scasb
	jne wrong
	cmp $DATA + 0x40000, %edi
	jne wrong
	mov $DATA + 1, %esi
	mov $DATA + 0x10003, %edi
	mov $0x2FFF, %ecx
	rep movsl
	mov DATA + 0xBFF9, %eax
	cmp %eax, -4(%edi)
	jne wrong
	/* calls that nobody returns from, then one that returns elsewhere */
	mov %esp, %ebp
	mov $40000, %ecx
1:	call 2f
2:	add $4, %esp
	loop 1b
	cmp %esp, %ebp
	jne wrong
	call 3f
9:	jmp wrong
3:	addl $4f - 9b, (%esp)
	ret
	.skip 16, 0x90
4:	cmp %esp, %ebp
	jne wrong
	/* recursion, indirect calls */
	mov $15, %eax
	call fib
	cmp $610, %eax
	jne wrong
	mov $3000, %ecx
	xor %eax, %eax
1:	mov %ecx, %edx
	and $3, %edx
	call *table(, %edx, 4)
	loop 1b
	cmp $3000 * 10 / 4, %eax
	jne wrong
	/* a carry chain through memory: 0x4000 words and their complements */
	mov $DATA, %esi
	mov $0x4000, %ecx
	xor %edx, %edx
	xor %ebx, %ebx
	stc
1:	mov (%esi), %eax
	adc %eax, %edx
	adc $0, %ebx
	mov (%esi), %eax
	not %eax
	lea 4(%esi), %esi
	adc %eax, %edx
	adc $0, %ebx
	dec %ecx
	jnz 1b
	cmp $0x3FFF, %ebx
	jne wrong
	cmp $-0x4000 + 1, %edx
	jne wrong
	/* x87 and SSE */
	fldz
	fld1
	mov $5000, %ecx
	pxor %xmm0, %xmm0
	movl $1, DATA + 0x1FFE
	movd DATA + 0x1FFE, %xmm1
1:	fadd %st(0), %st(1)
	paddd %xmm1, %xmm0
	movdqu %xmm0, DATA + 0x2FF8
	movdqu DATA + 0x2FF8, %xmm0
	loop 1b
	fstp %st(0)
	fistpl DATA + 0x3FFD
	cmpl $5000, DATA + 0x3FFD
	jne wrong
	movd %xmm0, %eax
	cmp $5000, %eax
	jne wrong
	mov faults, %eax		/* every page had been taken away */
	sub faults_before, %eax
	cmp $60, %eax			/* of which a round uses so many */
	jb wrong
	ret

fib:	cmp $2, %eax
	jb 1f
	push %eax
	dec %eax
	call fib
	pop %edx
	push %eax
	lea -2(%edx), %eax
	call fib
	pop %edx
	add %edx, %eax
1:	ret

add1:	inc %eax
	ret
add2:	add $2, %eax
	ret
add3:	push $3
	add (%esp), %eax
	add $4, %esp
	ret $0
	.balign 4
table:	.long add1, add2, add3, add4
add4:	lea 4(%eax), %eax
	ret

	.balign 8
gdt:	.quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF, 0x00CFFB000000FFFF, 0x00CFF3000000FFFF
	.quad 0x0000890000000067
gdtr:	.word . - gdt - 1
	.long gdt
tss:	.long 0, STACK_INT, 0x10
	.fill 22, 4, 0
	.long 0x680000
idtr:	.word 0x81 * 8 - 1
	.long idt
	.balign 8
idt:	.fill 0x81 * 8, 1, 0
	library
	.balign 4096			/* not beside code: that would be another test */
ticks:	.long 0
rounds:	.long 0
faults:	.long 0
faults_before: .long 0
