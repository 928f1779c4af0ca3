/* No interrupt table, so #UD cannot be delivered, nor #DF. */
	.globl _start
_start:
	lidt none
	ud2
none:	.word 0
	.long 0
