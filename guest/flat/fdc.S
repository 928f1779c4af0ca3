/*
 * How systems look for floppy drives: reset, SENSE INTERRUPT, SPECIFY, RECALIBRATE with and without a drive, both at
 * once, the change line, READ ID. Prints what the controller says, a step a line; each wait has an end.
 *								[82077AA "Reset", "Seek", "Recalibrate", "Sense Interrupt Status"]
 */
#include "pc.inc"
#define DOR	0x3F2
#define MSR	0x3F4
#define FIFO	0x3F5
#define DIR	0x3F7
	.globl _start
_start:
	gate 0x26, irq6
	lidt idtr
	pics_with_irq_0
	write_port 0x21, 0xBF			/* only IRQ 6 */
	sti
	print "reset "
	mov $0x00, %al
	call dor
	call status				/* 00: nothing goes */
	mov $0x0C, %al
	call dor
	call wait_irq
	call status
	mov $5, %ebx
1:	mov $sense, %esi			/* SENSE INTERRUPT: four, and then there is nothing to sense */
	call command
	dec %ebx
	jnz 1b
	call line
	print "version "
	mov $version, %esi
	call command
	call line
	print "specify "
	mov $specify, %esi
	call command
	call status
	call line
	print "change "
	mov $0x1C, %al				/* motor and drive 0 */
	call dor
	call change
	mov $recalibrate_0, %esi
	call command
	call wait_irq
	mov $sense, %esi
	call command
	call change
	mov $seek_0, %esi
	call command
	call wait_irq
	mov $sense, %esi
	call command
	call change
	call line
	print "absent "
	mov $sense_1, %esi
	call command
	mov $recalibrate_1, %esi
	call command
	call wait_irq
	mov $sense, %esi
	call command
	call line
	print "both "
	cli
	mov $recalibrate_0, %esi
	call command
	mov $recalibrate_1, %esi
	call command
	sti
	call wait_irq
	mov $3, %ebx
1:	mov $sense, %esi
	call command
	dec %ebx
	jnz 1b
	call line
	mov $DIR, %dx				/* 500 kbit/s, as a disk of 1.44 MB has it */
	xor %al, %al
	out %al, %dx
	print "id "
	mov $read_id_0, %esi
	call command
	call line
	mov $0x2D, %al				/* drive 1, which is not there */
	call dor
	print "id-absent "
	mov $read_id_1, %esi
	call command
	call line
	power_off

/* --- commands: a count, then the bytes --- */
sense:	.byte 1, 0x08
version: .byte 1, 0x10
specify: .byte 3, 0x03, 0xDF, 0x02
recalibrate_0: .byte 2, 0x07, 0x00
recalibrate_1: .byte 2, 0x07, 0x01
seek_0:	.byte 3, 0x0F, 0x00, 0x02
sense_1: .byte 2, 0x04, 0x01
read_id_0: .byte 2, 0x4A, 0x00
read_id_1: .byte 2, 0x4A, 0x01

/* Write the command at ESI, then read and print results as long as there are any: "[xx xx]". */
command:
	push %ebx
	lodsb
	movzbl %al, %ebx
1:	mov $0x80, %ah				/* RQM, not DIO */
	call wait_msr
	lodsb
	mov $FIFO, %dx
	out %al, %dx
	dec %ebx
	jnz 1b
	mov $'[', %al
	call putc
2:	mov $1000000, %ecx
3:	mov $MSR, %dx
	in %dx, %al
	test $0x80, %al
	loopz 3b
	and $0xD0, %al
	cmp $0xD0, %al				/* RQM, DIO, busy */
	jne 4f
	mov $FIFO, %dx
	in %dx, %al
	call byte
	jmp 2b
4:	mov $']', %al
	call putc
	pop %ebx
	ret
wait_msr:
	push %ecx
	mov $1000000, %ecx
1:	mov $MSR, %dx
	in %dx, %al
	and $0xC0, %al
	cmp %ah, %al
	loopne 1b
	je 2f
	print "(never ready) "
2:	pop %ecx
	ret
dor:	mov $DOR, %dx
	out %al, %dx
	ret
status:	mov $MSR, %dx
	in %dx, %al
	jmp byte
change:	mov $DIR, %dx
	in %dx, %al
	and $0x80, %al
byte:	push %eax
	shr $4, %al
	call digit
	pop %eax
	and $15, %al
	call digit
	mov $' ', %al
	jmp putc
digit:	and $15, %al
	add $'0', %al
	cmp $'9', %al
	jbe putc
	add $'a' - '9' - 1, %al
	jmp putc
line:	mov $'\n', %al
	jmp putc
/* An interrupt must have come, or come soon. */
wait_irq:
	push %ecx
	mov $10000000, %ecx
1:	cmpl $0, irqs
	loope 1b
	jne 2f
	print "(no interrupt) "
2:	movl $0, irqs
	pop %ecx
	ret
	counts_interrupts irq6, irqs
irqs:	.long 0
	empty_idt 0x26
	library
