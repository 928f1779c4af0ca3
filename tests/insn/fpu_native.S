/*
 * The way into a 32-bit code segment and back. What lies between native_blob and native_blob_end is
 * copied to NATIVE_CODE, below 4 GiB, and uses absolute addresses only.
 */
#include "tests/insn/fpu_native.h"

#define USER32_CS	0x23		/* Linux: __USER32_CS, __USER_CS, __USER_DS */
#define USER64_CS	0x33
#define USER_DS		0x2B

	.text
	.globl	native_enter
native_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, NATIVE_BLOCK + BLOCK_RSP
	mov	$USER_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	push	$USER32_CS
	push	$NATIVE_CODE
	lretq

	.globl	native_leave
native_leave:				/* the blob jumps here, RSP restored */
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.globl	native_blob, native_blob_exit32, native_blob_exit64, native_blob_end
	.code32
native_blob:
	fxrstor	NATIVE_BLOCK + BLOCK_FX_IN
	mov	$NATIVE_STACK, %esp
	pushl	NATIVE_BLOCK + BLOCK_EFLAGS_IN
	popfl
	mov	NATIVE_BLOCK + BLOCK_GPR_IN + 0, %eax
	mov	NATIVE_BLOCK + BLOCK_GPR_IN + 4, %ecx
	mov	NATIVE_BLOCK + BLOCK_GPR_IN + 8, %edx
	mov	NATIVE_BLOCK + BLOCK_GPR_IN + 12, %ebx
	mov	NATIVE_BLOCK + BLOCK_GPR_IN + 16, %esp
	mov	NATIVE_BLOCK + BLOCK_GPR_IN + 20, %ebp
	mov	NATIVE_BLOCK + BLOCK_GPR_IN + 24, %esi
	mov	NATIVE_BLOCK + BLOCK_GPR_IN + 28, %edi
	ljmp	$USER32_CS, $NATIVE_INSN
native_blob_exit32:
	mov	%eax, NATIVE_BLOCK + BLOCK_GPR_OUT + 0
	mov	%ecx, NATIVE_BLOCK + BLOCK_GPR_OUT + 4
	mov	%edx, NATIVE_BLOCK + BLOCK_GPR_OUT + 8
	mov	%ebx, NATIVE_BLOCK + BLOCK_GPR_OUT + 12
	mov	%esp, NATIVE_BLOCK + BLOCK_GPR_OUT + 16
	mov	%ebp, NATIVE_BLOCK + BLOCK_GPR_OUT + 20
	mov	%esi, NATIVE_BLOCK + BLOCK_GPR_OUT + 24
	mov	%edi, NATIVE_BLOCK + BLOCK_GPR_OUT + 28
	mov	$NATIVE_STACK, %esp
	pushfl
	popl	NATIVE_BLOCK + BLOCK_EFLAGS_OUT
	fxsave	NATIVE_BLOCK + BLOCK_FX_OUT
	ljmp	$USER64_CS, $(NATIVE_CODE + native_blob_exit64 - native_blob)
	.code64
native_blob_exit64:			/* the signal handler sends faults here */
	fninit
	ldmxcsr	NATIVE_BLOCK + BLOCK_MXCSR
	mov	NATIVE_BLOCK + BLOCK_RSP, %rsp
	cld
	jmp	*native_leave_at - native_blob + NATIVE_CODE
	.globl	native_leave_at
native_leave_at:
	.quad	0
native_blob_end:

	.section .note.GNU-stack, "", @progbits
