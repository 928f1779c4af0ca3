/* Entry, the handlers of all vectors, and the ways into and out of a guarded run. */
	.globl _start, guard, run_user, run_frame, vectors, guard_esp
	.text
_start:	jmp start
	.balign 4
header:	.long 0x1BADB002, 0x10003, -(0x1BADB002 + 0x10003)
	.long header, _start, 0, 0, _start
start:	cli
	mov $stack_top, %esp
	call main
1:	hlt
	jmp 1b

	.balign 16
vectors:
	.set v, 0
	.rept 256
	.balign 16
	.if (v == 8) || ((v >= 10) && (v <= 14)) || (v == 17)	/* these push an error code */
	.else
	push $0
	.endif
	push $v
	jmp common
	.set v, v + 1
	.endr

common:	pusha
	mov $0x10, %eax
	mov %ax, %ds
	mov %ax, %es
	cld
	mov %cr2, %eax
	mov %eax, trap_cr2
	mov %esp, %esi
	mov $trap, %edi
	mov $19, %ecx			/* over the end of a short frame it copies what is there */
	rep movsl
	push %esp
	call *on_trap
	pop %edx
	test %eax, %eax
	jz leave
	testl $0x20000, 48(%esp)	/* back to vm86: the segments are in the frame */
	jnz 1f
	testl $3, 44(%esp)
	jz 1f
	mov $0x23, %eax
	mov %ax, %ds
	mov %ax, %es
1:	popa
	add $8, %esp
	iret

/* Out of the guarded run, with the vector as its result. */
leave:	mov trap + 32, %eax
	mov guard_esp, %esp
	mov $0x10, %edx
	mov %dx, %ss
	mov %dx, %fs
	mov %dx, %gs
finish:	push $2
	popf
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret

.macro enter
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov %esp, guard_esp
	lea -64(%esp), %edx		/* where traps of an outer level begin */
	mov %edx, tss_main + 4
.endm

guard:	mov 4(%esp), %eax
	enter
	call *%eax
	mov $-1, %eax
	jmp finish

run_user:
	mov 4(%esp), %eax
	enter
	push $0x23
	push $user_stack_top
	push user_eflags
	push $0x1B
	push %eax
	mov $0x23, %edx
	mov %dx, %ds
	mov %dx, %es
	iret

run_frame:
	enter
	mov 20(%esp), %esi
	mov 24(%esp), %ecx
	lea (,%ecx,4), %eax
	sub %eax, %esp
	mov %esp, %edi
	rep movsl
	iret

	.bss
	.globl stack_top, user_stack_top, user_eflags, df_stack_top
	.balign 4096
	.fill 16384, 1, 0
stack_top:
	.fill 4096, 1, 0
df_stack_top:
	.fill 4096, 1, 0
user_stack_top:
guard_esp: .long 0
user_eflags: .long 0
