/*
 * Every way to reset a PC, one after the other. Memory keeps its contents, so a word that the
 * program is not loaded over counts the starts; everything else must be as at power on.
 */
#include "pc.inc"
	.globl _start
_start:
	mov 0x300000, %eax
	cmp $0x5EED0000, %eax
	jae 1f
	mov $0x5EED0000, %eax
1:	incl %eax
	mov %eax, 0x300000
	print "start "
	call puthex
	print "\n"
	incl data				/* the image is loaded again: always 1 */
	cmpl $1, data
	jne bad
	cmp $0x5EED0001, %eax
	je by_keyboard
	cmp $0x5EED0002, %eax
	je by_port_92
	cmp $0x5EED0003, %eax
	je by_cf9
	cmp $0x5EED0004, %eax
	je by_triple_fault
	power_off
by_keyboard:
	mov $0xFE, %al
	out %al, $0x64
	jmp wait
by_port_92:
	in $0x92, %al
	or $1, %al
	out %al, $0x92
	jmp wait
by_cf9:
	mov $0xCF9, %dx
	mov $2, %al
	out %al, %dx
	mov $6, %al
	out %al, %dx
	jmp wait
by_triple_fault:
	lidt none
	ud2
bad:
	print "the image was not loaded again\n"
wait:	jmp wait
none:	.word 0
	.long 0
data:	.long 0
	library
