/*
 * Boot sectors that draw in one video mode each (-DMODE_xxx), say "drawn." at port E9h and stay. Only what every VGA
 * does the same is used, so that another monitor's picture of the same program is the reference.
 */
#include "../flat/boot.inc"
	boot_sector

.macro bios_mode mode
	mov $\mode, %ax
	int $0x10
.endm
.macro vbe index, value
	mov $0x1CE, %dx
	mov $\index, %ax
	out %ax, %dx
	inc %dx
	mov $\value, %ax
	out %ax, %dx
.endm

#if defined(MODE_TEXT)
	bios_mode 3
	mov $0x0100, %ax
	mov $0x2000, %cx
	int $0x10			/* no cursor: it blinks */
	mov $0xB800, %ax
	mov %ax, %es
	xor %di, %di
	xor %bx, %bx
1:	mov %bl, %al
	mov %bx, %ax
	shr $4, %ax
	and $0x7F, %al			/* nor do characters */
	mov %al, %ah
	mov %bl, %al
	and $0xCF, %al			/* not B0h..BFh, whose last column QEMU repeats and a VGA does not */
	stosw
	inc %bx
	cmp $2000, %bx
	jb 1b
#elif defined(MODE_TEXT_SCROLLED)
	bios_mode 3
	mov $0x0100, %ax
	mov $0x2000, %cx
	int $0x10
	mov $0xB800, %ax
	mov %ax, %es
	xor %di, %di
	mov $0x1E20, %ax
1:	stosw
	inc %al
	and $0xCF, %al
	cmp $16000, %di
	jb 1b
	reg 0x3D4, 0x0C, 0x04		/* start address 400h + 30h */
	reg 0x3D4, 0x0D, 0x30
#elif defined(MODE_PLANAR)
	bios_mode 0x12
	mov $0xA000, %ax
	mov %ax, %es
	reg 0x3CE, 5, 2			/* write mode 2: a colour a byte */
	xor %di, %di
1:	mov %di, %ax
	shr $3, %ax
	and $15, %al
	stosb
	cmp $19200, %di
	jb 1b
	reg 0x3CE, 5, 0			/* write mode 0, XOR through a bit mask, rotated */
	reg 0x3CE, 3, 0x1B
	reg 0x3CE, 8, 0x7E
	reg 0x3C4, 2, 0x0B
	mov $4000, %di
1:	mov %es:(%di), %al		/* latches */
	mov %di, %ax
	stosb
	cmp $12000, %di
	jb 1b
	reg 0x3C4, 2, 0x0F
	reg 0x3CE, 3, 0
	reg 0x3CE, 8, 0xFF
	reg 0x3CE, 5, 1			/* write mode 1: a copy */
	push %es
	pop %ds
	mov $4000, %si
	mov $24000, %di
	mov $8000, %cx
	rep movsb
	reg 0x3CE, 5, 3			/* write mode 3: set/reset through the data */
	reg 0x3CE, 0, 9
	mov $33000, %di
1:	mov %es:(%di), %al
	mov %di, %ax
	stosb
	cmp $36000, %di
	jb 1b
#elif defined(MODE_SPLIT)
	bios_mode 0x12
	mov $0xA000, %ax
	mov %ax, %es
	xor %di, %di
1:	mov %di, %ax
	shr $5, %ax
	stosb
	cmp $60000, %di
	jb 1b
	reg 0x3D4, 0x0C, 0x1F		/* start address 8000 */
	reg 0x3D4, 0x0D, 0x40
	reg 0x3D4, 0x11, 0x0C		/* unprotect, then line compare 300 */
	reg 0x3D4, 0x18, 0x2C
	reg 0x3D4, 0x07, 0x3E
	reg 0x3D4, 0x09, 0x00
#elif defined(MODE_EGA)
	bios_mode 0x0D
	mov $0xA000, %ax
	mov %ax, %es
	mov $8, %bl
2:	mov $0x3C4, %dx			/* plane by plane, each with a pattern of its own */
	mov $2, %al
	mov %bl, %ah
	out %ax, %dx
	xor %di, %di
1:	mov %di, %ax
	mul %bl
	stosb
	cmp $8000, %di
	jb 1b
	shr %bl
	jnz 2b
#elif defined(MODE_13H) || defined(MODE_X)
	bios_mode 0x13
	mov $0x3C8, %dx
	xor %ax, %ax
	out %al, %dx
	inc %dx
1:	out %al, %dx			/* entry i: i, i * 2, i * 3 */
	mov %al, %ah
	add %al, %al
	out %al, %dx
	add %ah, %al
	out %al, %dx
	mov %ah, %al
	inc %al
	jnz 1b
	mov $0xA000, %ax
	mov %ax, %es
	xor %di, %di
#ifdef MODE_13H
1:	mov %di, %ax
	xor %ah, %al
	stosb
	cmp $64000, %di
	jb 1b
#else
	reg 0x3C4, 4, 6			/* unchained */
	reg 0x3D4, 0x14, 0
	reg 0x3D4, 0x17, 0xE3
	reg 0x3D4, 0x0C, 0x03		/* 10 lines down */
	reg 0x3D4, 0x0D, 0x20
	mov $1, %bl
2:	mov $0x3C4, %dx
	mov $2, %al
	mov %bl, %ah
	out %ax, %dx
	xor %di, %di
1:	mov %di, %ax
	shr $4, %ax
	xor %bl, %al
	stosb
	cmp $20000, %di
	jb 1b
	add %bl, %bl
	cmp $16, %bl
	jb 2b
#endif
#elif defined(MODE_CGA4) || defined(MODE_CGA6)
#ifdef MODE_CGA4
	bios_mode 4
#else
	bios_mode 6
#endif
	mov $0xB800, %ax
	mov %ax, %es
	xor %di, %di
1:	mov %di, %ax
	xor %ah, %al
	stosb
	cmp $16384, %di
	jb 1b
#elif defined(MODE_VBE16) || defined(MODE_VBE8)
	bios_mode 0x13			/* a palette, and the screen on */
	vbe 4, 0
	vbe 1, 1024
	vbe 2, 768
#ifdef MODE_VBE16
	vbe 3, 16
#define BANKS 24
#else
	vbe 3, 8
#define BANKS 12
#endif
	vbe 4, 0x41
	mov $0xA000, %ax
	mov %ax, %es
	xor %bx, %bx
2:	mov $0x1CE, %dx
	mov $5, %ax
	out %ax, %dx
	inc %dx
	mov %bx, %ax
	out %ax, %dx
	xor %di, %di
1:	mov %di, %ax
	rol $3, %ax
	add %bx, %ax
	stosw
	test %di, %di
	jnz 1b
	inc %bx
	cmp $BANKS, %bx
	jb 2b
#endif
	mov $said, %si
1:	cs lodsb
	out %al, $0xE9
	test %al, %al
	jnz 1b
1:	hlt
	jmp 1b
said:	.asciz "drawn."

	.org 510
	.word 0xAA55
