/*
 * How fast a real-mode program fills the screen of a VGA: rounds of each kind for a second of BIOS ticks, and a line
 * on COM1: name, pixels a round, rounds, ticks. A boot disk's first sectors; it powers off by isa-debug-exit (F4h).
 */
#include "../../guest/flat/boot.inc"
#define COM1	0x3F8
#define TICKS	27			/* of 18.2 Hz */
	boot_sector
	mov $0x7E00, %bx
	mov $0x0207, %ax		/* seven more sectors */
	mov $0x0002, %cx
	mov $0, %dh			/* of the drive in DL */
	int $0x13
	jmp main
	.org _start + 510
	.word 0xAA55

.macro kind name, pixels, mode, round
	mov $\mode, %ax
	int $0x10
	mov $0xA000, %ax
	mov %ax, %es
	mov $9f, %si
	mov $\round, %bp
	movl $\pixels, pixels
	call measure
	.section .text.names, "ax"
9:	.asciz "\name "
	.previous
.endm

main:	kind "13h-rep-stosd", 64000, 0x13, linear_stosd
	kind "13h-rep-stosb", 64000, 0x13, linear_stosb
	kind "13h-byte-stores", 64000, 0x13, linear_bytes
	kind "x-rep-stosb", 64000, 0x13, x_stosb
	kind "x-plane-byte-stores", 64000, 0x13, x_bytes
	kind "12h-mode0-rep-stosb", 307200, 0x12, planar_stosb
	kind "12h-mode0-plane-byte-stores", 307200, 0x12, planar_bytes
	kind "12h-mode2-read-write", 307200, 0x12, planar_mode2
	kind "12h-mode1-rep-movsb", 307200, 0x12, planar_copy
	mov $3, %ax
	int $0x10
	mov $end, %si
	call puts
	mov $0xF4, %dx
	xor %ax, %ax
	out %al, %dx
1:	hlt
	jmp 1b
end:	.asciz "end\r\n"

/* --- a round each: AL is a colour that changes --- */
linear_stosd:
	mov %al, %ah
	push %ax
	push %ax
	pop %eax
	xor %di, %di
	mov $16000, %cx
	rep stosl
	ret
linear_stosb:
	xor %di, %di
	mov $64000, %cx
	rep stosb
	ret
linear_bytes:
	xor %di, %di
	mov $64000, %cx
1:	mov %al, %es:(%di)
	inc %di
	dec %cx
	jnz 1b
	ret
unchain:
	push %ax
	reg 0x3C4, 4, 0x06
	reg 0x3D4, 0x14, 0
	reg 0x3D4, 0x17, 0xE3
	pop %ax
	ret
x_stosb:
	call unchain
	push %ax
	reg 0x3C4, 2, 0x0F
	pop %ax
	xor %di, %di
	mov $16000, %cx
	rep stosb
	ret
x_bytes:
	call unchain
	mov $16000, %si
planes:	mov %al, %bl			/* SI bytes of each plane, one plane after the other */
	mov $1, %bh
2:	mov $0x3C4, %dx
	mov %bh, %ah
	mov $2, %al
	out %ax, %dx
	xor %di, %di
	mov %si, %cx
1:	mov %bl, %es:(%di)
	inc %di
	dec %cx
	jnz 1b
	shl $1, %bh
	cmp $16, %bh
	jb 2b
	ret
planar_stosb:
	xor %di, %di
	mov $38400, %cx
	rep stosb
	ret
planar_bytes:
	mov $38400, %si
	jmp planes
planar_mode2:
	mov %al, %bl
	reg 0x3CE, 5, 2
	reg 0x3CE, 8, 0x7F
	xor %di, %di
	mov $38400, %cx
1:	mov %es:(%di), %al		/* the latches */
	mov %bl, %es:(%di)
	inc %di
	dec %cx
	jnz 1b
	ret
planar_copy:
	reg 0x3CE, 5, 1
	push %ds
	push %es
	pop %ds
	mov $80, %si
	xor %di, %di
	mov $38400, %cx
	rep movsb
	pop %ds
	ret

/* --- time and text --- */
/* Rounds of BP for TICKS, then the line that begins with SI. */
measure:
	call puts
	movl $0, rounds
	mov 0x46C, %ax
1:	hlt				/* from the beginning of a tick */
	cmp 0x46C, %ax
	je 1b
	mov 0x46C, %ax
	mov %ax, begin
2:	mov rounds, %ax
	call *%bp
	incl rounds
	mov 0x46C, %ax
	sub begin, %ax
	cmp $TICKS, %ax
	jb 2b
	push %ax
	mov pixels, %eax
	call putnumber
	mov rounds, %eax
	call putnumber
	xor %eax, %eax
	pop %ax
	call putnumber
	mov $newline, %si
	/* fall through */
puts:	lodsb
	test %al, %al
	jz 1f
	call putc
	jmp puts
1:	ret
putnumber:
	xor %cx, %cx
	mov $10, %ebx
1:	xor %edx, %edx
	div %ebx
	add $'0', %dl
	push %dx
	inc %cx
	test %eax, %eax
	jnz 1b
2:	pop %ax
	call putc
	loop 2b
	mov $' ', %al
putc:	push %ax
	mov $COM1 + 5, %dx
1:	in %dx, %al
	test $0x20, %al
	jz 1b
	pop %ax
	mov $COM1, %dx
	out %al, %dx
	ret
newline: .asciz "\r\n"
	.balign 4
pixels:	.long 0
rounds:	.long 0
begin:	.word 0
