/*
 * High precision event timers: what is there, and twenty ticks of timer 0 at 1000 Hz in the place of the 8254, which
 * is programmed too and must not be heard.					[HPET 1.0a]
 */
#include "pc.inc"
#define HPET		0xFED00000
#define PERIOD		100000			/* of 10 ns */
	.globl _start
_start:
	mov HPET, %eax
	call puthex
	cmpl $0x8086A201, HPET
	jne none
	cmpl $10000000, HPET + 4		/* femtoseconds */
	jne none
	gate 0x20, tick
	lidt idtr
	pics_with_irq_0
	write_port 0x43, 0x34			/* counter 0, mode 2, 50 times as fast */
	write_port 0x40, 24
	write_port 0x40, 0
	movl $0, HPET + 0x10			/* off, from 0 */
	movl $0, HPET + 0xF0
	movl $0, HPET + 0xF4
	movl $0x14C, HPET + 0x100		/* interrupt, periodic, value set, 32 bits */
	movl $PERIOD, HPET + 0x108
	movl $PERIOD, HPET + 0x108
	movl $3, HPET + 0x10			/* on, legacy replacement */
	sti
1:	hlt
	cmpl $20, ticks
	jb 1b
	cli
	mov HPET + 0xF0, %eax			/* no tick came early, nor from the 8254 */
	mov ticks, %ecx
	imul $PERIOD, %ecx, %ecx
	cmp %ecx, %eax
	jb early
	mov HPET + 0x108, %ecx			/* the next one is not over yet, or is pending */
	sub %ecx, %eax
	cmp $PERIOD * 1000, %eax
	jge early
	print " ticks\n"
	power_off
early:	print " early\n"
	power_off
none:	print " none\n"
	power_off
	counts_interrupts tick, ticks
ticks:	.long 0
	empty_idt 0x20
	library
