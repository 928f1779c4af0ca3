/* For a profile: three functions with frames, of which one takes nearly all the time, and ports now and then. */
#include "pc.inc"
	.globl _start
	.type _start, @function
_start:
	mov $0x180000, %esp
	xor %ebp, %ebp
1:	call work
	jmp 1b
	.size _start, . - _start

	.type work, @function
work:
	push %ebp
	mov %esp, %ebp
	call hot_loop
	call cold_ports
	pop %ebp
	ret
	.size work, . - work

	.type hot_loop, @function
hot_loop:
	push %ebp
	mov %esp, %ebp
	mov $1000000, %ecx
1:	imul $3, %eax, %eax
	add $1, %eax
	dec %ecx
	jnz 1b
	pop %ebp
	ret
	.size hot_loop, . - hot_loop

	.type cold_ports, @function
cold_ports:
	push %ebp
	mov %esp, %ebp
	mov $1000, %ecx
1:	in $0x61, %al
	dec %ecx
	jnz 1b
	pop %ebp
	ret
	.size cold_ports, . - cold_ports
