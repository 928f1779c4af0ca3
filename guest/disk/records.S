/*
 * Writes records to the first disk, each flushed before it is announced on COM1: "w N" once the disk has it for
 * good, "e N" if the disk said that it could not. Record N fills sector N * 37 mod 2048 with its number.
 * The first double word of sector 3000 says how many; then it powers off. (What power and host faults leave of the
 * disk is looked at by tests/guard.)
 */
#include "../flat/pc.inc"
	.globl _start
	.set BUFFER, 0x200000

_start:
	mov $3000, %ebx
	mov $0x20, %cl			/* READ SECTORS */
	call command
	jc failed
	mov $0x1F0, %edx
	mov $BUFFER, %edi
	mov $256, %ecx
	rep insw
	mov BUFFER, %esi		/* how many */
	mov $0, %ebp
next:	inc %ebp
	cmp %esi, %ebp
	ja done
	mov $BUFFER, %edi
	mov $128, %ecx
	mov %ebp, %eax
	rep stosl
	imul $37, %ebp, %ebx
	and $2047, %ebx
	mov $0x30, %cl			/* WRITE SECTORS */
	call command
	jc error
	push %esi
	mov $0x1F0, %edx
	mov $BUFFER, %esi
	mov $256, %ecx
	rep outsw
	pop %esi
	call wait
	jc error
	mov $0xE7, %cl			/* FLUSH CACHE */
	call command
	jc error
	print "w "
	jmp number
error:	print "e "
number:	mov %ebp, %eax
	call puthex
	print "\n"
	jmp next
failed:	print "no disk\n"
done:	print "done\n"
	power_off

/* Command CL at sector EBX; CF: the drive says error. Leaves with data to move, or none. */
command:
	mov $0x1F6, %edx
	mov $0xE0, %al
	out %al, %dx
	mov $0x1F2, %edx
	mov $1, %al
	out %al, %dx
	inc %edx
	mov %bl, %al
	out %al, %dx
	inc %edx
	mov %bh, %al
	out %al, %dx
	inc %edx
	xor %eax, %eax
	out %al, %dx
	mov $0x1F7, %edx
	mov %cl, %al
	out %al, %dx
wait:	mov $0x3F6, %edx
1:	in %dx, %al
	test $0x80, %al
	jnz 1b
	mov $0x1F7, %edx
	in %dx, %al
	test $0x21, %al			/* ERR, DF */
	jz 2f
	stc
	ret
2:	clc
	ret
	library
