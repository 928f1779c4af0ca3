/*
 * The x87 instructions themselves, run on the host's FPU with the guest's complete state.
 *
 * An x87 instruction is two bytes: D8..DF and ModRM. Both tables hold every one of them followed
 * by RET, in slots of four bytes: the register forms by opcode and the low six bits of ModRM, the
 * memory forms by opcode and ModRM.reg with (%rdi) as the operand. No semantics are written down
 * here or in C for the slow cases: what the host does is the definition.
 */
	.text

	.globl	fpu_host_reg, fpu_host_mem, fpu_host_run
	.hidden	fpu_host_reg, fpu_host_mem, fpu_host_run

	.balign	64
fpu_host_reg:
	.set	op, 0xD8
	.rept	8
	.set	modrm, 0xC0
	.rept	64
	.byte	op, modrm, 0xC3, 0x90
	.set	modrm, modrm + 1
	.endr
	.set	op, op + 1
	.endr

fpu_host_mem:
	.set	op, 0xD8
	.rept	8
	.set	modrm, 0x07
	.rept	8
	.byte	op, modrm, 0xC3, 0x90
	.set	modrm, modrm + 8
	.endr
	.set	op, op + 1
	.endr

/*
 * uint32_t fpu_host_run(struct fxstate *image, void *mem, const void *slot, uint32_t flags)
 *
 * The image holds no exception flag, so nothing is pending when the instruction starts. It may be
 * pending afterwards: FXSAVE and FNINIT do not wait, so the host never sees #MF. FXRSTOR loads the
 * guest's XMM registers and MXCSR as well: the former are the caller's to save, MXCSR is put back.
 * flags: SF ZF AF PF CF for FCMOVcc; the same are returned, for FCOMI.
 */
	.type	fpu_host_run, @function
	.balign	16
fpu_host_run:
	sub	$8, %rsp
	stmxcsr	(%rsp)
	mov	%rdi, %r8
	mov	%rsi, %rdi
	fxrstor	(%r8)
	mov	%cl, %ah
	sahf
	call	*%rdx
	lahf
	fxsave	(%r8)
	fninit
	ldmxcsr	(%rsp)
	movzbl	%ah, %eax
	add	$8, %rsp
	ret
	.size	fpu_host_run, . - fpu_host_run

	.section .note.GNU-stack, "", @progbits
