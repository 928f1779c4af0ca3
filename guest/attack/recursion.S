/* Calls itself until there is no stack: no page for #PF's frame, none for #DF's: a triple fault. */
#include "../flat/pc.inc"
	.globl _start
_start:
	mov $0x200000, %edi		/* page table at 2 MiB: 1 to 4 MiB is mapped, what is below is not */
	mov $0x100007, %eax
	mov $0x100 * 4, %ebx
1:	mov %eax, (%edi,%ebx)
	add $0x1000, %eax
	add $4, %ebx
	cmp $0x1000, %ebx
	jb 1b
	movl $0x200007, 0x201000
	mov $0x201000, %eax
	mov %eax, %cr3
	mov $0x102000, %esp		/* 4 KiB above this code, and the code is read-only from here on */
	mov %cr0, %eax
	or $0x80010000, %eax
	andl $~2, 0x200000 + 0x100 * 4
	mov %eax, %cr0
	print "recursing\n"
2:	call 2b
	library
