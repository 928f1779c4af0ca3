/*
 * The emptiest kernel: prints a line on COM1 and ends the machine. Multiboot 1, loaded at 1 MiB.
 * For the time from start to first output, which is then the monitor's own.
 */
	.text
	.align	4
	.long	0x1BADB002, 0, -0x1BADB002	/* [Multiboot "Header layout"] */

	.globl	_start
_start:
	movl	$text, %esi
	movw	$0x3F8, %dx
1:	lodsb
	testb	%al, %al
	jz	2f
	outb	%al, %dx
	jmp	1b
2:	movw	$0xF4, %dx		/* isa-debug-exit */
	outl	%eax, %dx
3:	hlt
	jmp	3b

text:	.asciz	"hello\n"
