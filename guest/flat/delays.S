/*
 * A driver's delays: a thousand of 250 us, as loops of PAUSE that read the time-stamp counter (1 GHz) and with a port written
 * between them, while the 8254 ticks 250 times a second. Time never goes back, and no tick is lost.
 */
#include "pc.inc"
#define COUNT		4772
#define PERIOD		3999389			/* of the time-stamp counter: COUNT / 1193182 Hz, or less */
	.globl _start
_start:
	gate 0x20, tick
	lidt idtr
	pics_with_irq_0
	write_port 0x43, 0x34			/* counter 0, mode 2 */
	write_port 0x40, (COUNT & 0xFF)
	write_port 0x40, (COUNT >> 8)
	rdtsc
	mov %eax, begun
	mov %edx, begun + 4
	mov %eax, %esi				/* EDI:ESI: what was read last */
	mov %edx, %edi
	sti
	mov $1000, %ebp
delay:	mov %esi, %ebx
	mov %edi, %ecx
	add $250000, %ebx			/* ECX:EBX: until then */
	adc $0, %ecx
1:	pause
	rdtsc
	cmp %esi, %eax
	mov %edx, %eax
	sbb %edi, %eax
	jb back
	rdtsc
	mov %eax, %esi
	mov %edx, %edi
	sub %ebx, %eax
	sbb %ecx, %edx
	jb 1b
	write_port 0x80, 0
	dec %ebp
	jnz delay
	/* Those that were late come now: it has them all, or it never will. */
	mov $3000, %ebp
2:	cli
	mov %esi, %eax
	mov %edi, %edx
	sub begun, %eax
	sbb begun + 4, %edx
	mov $PERIOD, %ecx
	div %ecx
	sti
	cmp %eax, ticks
	jae all
	hlt
	dec %ebp
	jnz 2b
	print "ticks were lost\n"
	power_off
back:	print "time went back\n"
	power_off
all:	print "delays were made\n"
	power_off
	counts_interrupts tick, ticks
ticks:	.long 0
begun:	.long 0, 0
	empty_idt 0x20
	library
