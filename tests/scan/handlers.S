/*
 * What the random programs' exceptions lead to: 32-bit code, copied into the guest at HANDLERS_AT. It uses SS
 * only: the other segment registers are the program's.						[program.h]
 */
#define NEXT_SLOT	0x6800
#define REPAIRS		0x6804
#define PTES		0x6808
#define ENTRY_SHIFT	0x680C
#define INTERRUPTS	0x6810
#define SLOT_BYTES	32
#define CODE_END	(0x10000 + 192 * SLOT_BYTES)
#define ARITH		0x8D5

	.section .rodata
	.code32
	.globl handlers, handlers_error, handlers_page_fault, handlers_interrupt, handlers_end
handlers:
/* On in the next slot, all registers kept. Arithmetic flags become 0: scanned code does not keep those that are
 * dead where it was, but going on elsewhere they are live. */
skip:
	fninit					/* an MMX instruction that faults has made TOP 0, or not */
	push	%eax
	mov	%ss:NEXT_SLOT, %eax
	add	$SLOT_BYTES, %eax
	mov	%eax, %ss:NEXT_SLOT
	mov	%eax, 4(%esp)
	andl	$~ARITH, 12(%esp)
	cmp	$CODE_END, %eax
	jae	1f
	pop	%eax
	iret
1:	hlt
handlers_error:
	add	$4, %esp
	jmp	skip

/* As long as it has repairs left, it allows everything on the page and tries again. */
handlers_page_fault:
	push	%eax
	push	%ecx
	push	%edx
	cmpl	$0, %ss:REPAIRS
	je	2f
	mov	%cr2, %eax
	cmp	$0x800000, %eax
	jae	2f
	shr	$12, %eax
	mov	%ss:ENTRY_SHIFT, %ecx
	shl	%cl, %eax
	mov	%ss:PTES, %edx
	add	%eax, %edx
	mov	%ss:(%edx), %eax
	test	$0xFFFFF000, %eax
	je	2f
	decl	%ss:REPAIRS
	or	$7, %eax
	mov	%eax, %ss:(%edx)
	cmp	$3, %ecx
	jne	1f
	movl	$0, %ss:4(%edx)			/* NX */
1:	mov	%cr2, %eax
	invlpg	%ss:(%eax)
	pop	%edx
	pop	%ecx
	pop	%eax
	add	$4, %esp
	iret
2:	pop	%edx
	pop	%ecx
	pop	%eax
	jmp	handlers_error

/* Leaves no trace but the count. */
handlers_interrupt:
	incl	%ss:INTERRUPTS
	iret
handlers_end:
	.section .note.GNU-stack, "", @progbits
