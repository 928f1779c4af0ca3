/*
 * Boot sectors that fill the screen again and again from 32-bit code, and count the rounds at 500h. -DLINEAR: VBE
 * 1024x768x32 in its linear frame buffer; -DMODE13: 320x200 at A0000h; -DSPOT: of the first only 64 bytes in line 300.
 */
#include "../flat/boot.inc"
#define ROUNDS	0x500
	boot_sector
#ifdef MODE13
	mov $0x13, %ax
	int $0x10
	movl $0xA0000, base
	movl $64000 / 4, count
#else
	mov $0x118, %cx			/* SeaBIOS's number of 1024x768x24; we set the depth ourselves below */
	mov $0x1000, %di
	mov $0x4F01, %ax
	int $0x10			/* where its frame buffer is */
	mov 0x1028, %eax
	mov %eax, base
	mov $0x1CE, %dx
	mov $registers, %si
2:	lodsw
	out %ax, %dx
	inc %dx
	lodsw
	out %ax, %dx
	dec %dx
	cmp $registers_end, %si
	jb 2b
	movl $1024 * 768, count
#endif
	movl $0, ROUNDS
	cli
	lgdt gdt_pointer
	mov %cr0, %eax
	or $1, %al
	mov %eax, %cr0
	ljmp $8, $3f
	.code32
3:	mov $0x10, %ax
	mov %ax, %ds
	mov %ax, %es
	mov %ax, %ss
	xor %eax, %eax
#ifdef SPOT
	mov base, %edi
	mov count, %ecx
	rep stosl			/* the whole screen once */
	mov base, %edi
	add $1024 * 4 * 300 + 512, %edi
1:	mov $16, %ecx
2:	mov %eax, -4(%edi, %ecx, 4)
	loop 2b
	add $0x010203, %eax
	incl ROUNDS
	jmp 1b
#else
1:	mov base, %edi
	mov count, %ecx
2:	mov %eax, (%edi)
	add $4, %edi
	dec %ecx
	jnz 2b
	add $0x01010101, %eax
	incl ROUNDS
	jmp 1b
#endif
registers:				/* [Bochs VBE DISPI]: off, 1024 by 768 by 32, on with the linear frame buffer */
	.word 4, 0, 1, 1024, 2, 768, 3, 32, 4, 0x41
registers_end:
	.balign 8
gdt:	.quad 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF
gdt_pointer: .word 23
	.long gdt
base:	.long 0
count:	.long 0
	.org _start + 510
	.word 0xAA55
