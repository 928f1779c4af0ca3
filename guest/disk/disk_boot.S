/*
 * A boot sector and three sectors more: asks the firmware for its drive and tries it, and tells on COM2 (COM1 may be the firmware's console).
 *
 * Boots from a floppy, a disk, or a CD (El Torito, no emulation: all four sectors are loaded). Each
 * check prints a line; the last is "done", and isa-debug-exit ends the run. On a floppy or disk
 * the last sector is written and read back.
 */
#include "../flat/boot.inc"
	boot_sector
	mov	%dl, drive
	cmp	$0xE0, %dl		/* a CD-ROM: all is here */
	jae	2f
	mov	$0x0203, %ax		/* sectors 2 to 4 to 7E00h */
	mov	$0x0002, %cx
	xor	%dh, %dh
	mov	$0x7E00, %bx
	int	$0x13
	jc	fail
2:	jmp	main

/* The byte in AL to COM2. */
putc:	push	%dx
	push	%ax
	mov	$0x2FD, %dx
1:	in	%dx, %al
	test	$0x20, %al
	jz	1b
	pop	%ax
	mov	$0x2F8, %dx
	out	%al, %dx
	pop	%dx
	ret

/* The string at SI. */
puts:	lodsb
	test	%al, %al
	jz	1f
	call	putc
	jmp	puts
1:	ret

/* AX in hex. */
hex:	mov	$4, %cx
1:	rol	$4, %ax
	push	%ax
	and	$15, %al
	cmp	$10, %al
	sbb	$0x69, %al
	das
	call	putc
	pop	%ax
	loop	1b
	mov	$' ', %al
	jmp	putc

nl:	mov	$10, %al
	jmp	putc

fail:	push	%ax
	mov	$s_fail, %si
	call	puts
	pop	%ax
	call	hex
	call	nl
	mov	$1, %al
	jmp	quit
quit:	mov	$0xF4, %dx
	out	%al, %dx
1:	hlt
	jmp	1b

drive:	.byte	0
s_fail:	.asciz	"failed, AX = "
	.org	510
	.word	0xAA55

main:	mov	$s_hello, %si
	call	puts
	xor	%ah, %ah
	mov	drive, %al
	call	hex
	call	nl
	cmpb	$0xE0, drive
	jae	cd

	mov	$s_geometry, %si	/* AH = 08h: cylinders and sectors in CX, heads in DH */
	call	puts
	mov	$8, %ah
	mov	drive, %dl
	push	%es
	xor	%di, %di
	mov	%di, %es
	int	$0x13
	pop	%es
	jc	fail
	mov	%cx, last_cx
	mov	%dh, last_dh
	mov	%cx, %ax
	push	%dx
	call	hex
	pop	%dx
	mov	%dh, %al
	xor	%ah, %ah
	call	hex
	call	nl

	mov	$s_first, %si		/* the first sector, read again, is this one */
	call	puts
	mov	$0x0201, %ax
	mov	$1, %cx
	xor	%dh, %dh
	call	rw
	mov	$buf, %si
	mov	$0x7C00, %di
	mov	$0x50, %cx		/* what is not written to */
	repe	cmpsb
	jne	fail
	call	ok

	mov	$s_last, %si		/* write the last sector, and read it back */
	call	puts
	mov	$buf, %di
	mov	$256, %cx
	mov	$0xBEEF, %ax
	rep	stosw
	mov	$0x0301, %ax
	mov	last_cx, %cx
	mov	last_dh, %dh
	call	rw
	mov	$buf, %di
	mov	$256, %cx
	xor	%ax, %ax
	rep	stosw
	mov	$0x0201, %ax
	mov	last_cx, %cx
	mov	last_dh, %dh
	call	rw
	mov	$buf, %di
	mov	$256, %cx
	mov	$0xBEEF, %ax
	repe	scasw
	jne	fail
	call	ok

	testb	$0x80, drive
	jz	done
	mov	$s_beyond, %si		/* AH = 42h past the end: an error, and no harm */
	call	puts
	movl	$0x7FFFFFFF, packet_lba
	mov	$0x42, %ah
	call	extended
	jnc	fail
	call	ok
	mov	$s_ext, %si
	call	puts
	movl	$1, packet_lba		/* sector 1 is 7E00h's */
	movw	$1, packet_count
	mov	$0x42, %ah
	call	extended
	jc	fail
	mov	$buf, %si
	mov	$0x7E00, %di
	mov	$0x100, %cx
	repe	cmpsb
	jne	fail
	call	ok
	jmp	done

cd:	mov	$s_volume, %si		/* sector 16 of a CD: CD001 */
	call	puts
	movl	$16, packet_lba
	movw	$1, packet_count
	mov	$0x42, %ah
	call	extended
	jc	fail
	movb	$0, buf + 6
	mov	$buf + 1, %si
	call	puts
	call	nl

done:	mov	$s_done, %si
	call	puts
	xor	%al, %al
	jmp	quit

ok:	mov	$s_ok, %si
	jmp	puts

/* One CHS transfer between the drive and buf. */
rw:	mov	drive, %dl
	mov	$buf, %bx
	int	$0x13
	jc	fail
	ret

extended:
	mov	$packet, %si
	mov	drive, %dl
	int	$0x13
	ret

packet:	.byte	16, 0
packet_count:
	.word	1
	.word	buf, 0
packet_lba:
	.long	0, 0
last_cx: .word	0
last_dh: .byte	0
s_hello: .asciz	"disk_boot from drive "
s_geometry: .asciz "geometry "
s_first: .asciz	"first sector "
s_last:	.asciz	"last sector "
s_beyond: .asciz "beyond the end "
s_ext:	.asciz	"by LBA "
s_volume: .asciz "volume "
s_ok:	.asciz	"ok\n"
s_done:	.asciz	"done\n"
	.org	2048
	.equ	buf, 0x9000
