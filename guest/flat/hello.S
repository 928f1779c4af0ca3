/* The smallest program with an effect: a line on COM1, then power off. */
#include "pc.inc"
	.globl _start
_start:
	print "hello from ring 0\n"
	power_off
	library
