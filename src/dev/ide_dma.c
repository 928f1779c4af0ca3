/*
 * The bus master of the IDE function.		[SFF "Programming Interface for Bus Master IDE Controller"]
 *
 * Per channel a command, a status and a table pointer. The table's descriptors (PRD) say where in
 * memory the data goes: address, byte count (0: 64 KiB), and in the last one bit 31.
 * Left out: simplex mode; that a region must not cross 64 KiB (it may, here).
 */
#include <string.h>

#include "dev/ide.h"

enum { BM_START = BIT(0), BM_TO_MEMORY = BIT(3) };			/* command */
enum { BM_ACTIVE = BIT(0), BM_ERROR = BIT(1), BM_INTERRUPT = BIT(2) };	/* status */
#define PRD_LAST 0x80000000u

/* Next descriptor into prd_base/prd_left; false at the end of the table. */
static bool next_prd(struct ide_channel *ch)
{
	uint32_t prd[2];

	if (ch->prd_loaded && ch->prd_last)
		return false;
	ch->ide->host.mem_read(ch->ide->host.arg, ch->prd_at, prd, sizeof(prd));
	ch->prd_at += 8;
	ch->prd_base = prd[0] & ~1u;
	ch->prd_left = prd[1] & 0xFFFE;
	if (ch->prd_left == 0)
		ch->prd_left = 0x10000;
	ch->prd_last = prd[1] & PRD_LAST;
	ch->prd_loaded = true;
	return true;
}

/* Move len bytes between buf and where the table says; less if the table ends before. */
size_t ide_dma_move(struct ide_channel *ch, uint8_t *buf, size_t len, bool to_memory)
{
	struct ide_host *host = &ch->ide->host;
	size_t moved = 0;

	while (moved < len) {
		if (ch->prd_left == 0 && !next_prd(ch))
			break;
		size_t n = MIN(len - moved, ch->prd_left);
		if (to_memory)
			host->mem_write(host->arg, ch->prd_base, buf + moved, n);
		else
			host->mem_read(host->arg, ch->prd_base, buf + moved, n);
		ch->prd_base += n;
		ch->prd_left -= n;
		moved += n;
	}
	if (moved < len)
		/* The table was too short: the bus master stops, the drive goes on waiting, and no
		 * interrupt comes; that is how the host learns of it. */
		ch->bm_status &= ~BM_ACTIVE;
	return moved;
}

static void run(struct ide_channel *ch)
{
	if (ch->packet)
		atapi_dma(ch);
	else
		ide_disk_dma(ch);
}

/* The drive is ready to move data; go on when the bus master has been started. */
void ide_dma_wait(struct ide_channel *ch)
{
	ch->phase = IDE_WAIT_DMA;
	ch->active->tf.status = IDE_DRDY | IDE_DSC | IDE_DRQ;
	if (ch->bm_status & BM_ACTIVE)
		run(ch);
}

/* All data of the command has been moved. Active stays up if the table describes more. */
void ide_dma_finish(struct ide_channel *ch)
{
	if (ch->prd_last && ch->prd_left == 0)
		ch->bm_status &= ~BM_ACTIVE;
}

static void write_command(struct ide_channel *ch, uint8_t val)
{
	uint8_t was = ch->bm_command;

	ch->bm_command = val & (BM_START | BM_TO_MEMORY);
	if (!(val & BM_START)) {
		ch->bm_status &= ~BM_ACTIVE;
		return;
	}
	if (was & BM_START)
		return;
	ch->bm_status |= BM_ACTIVE;
	ch->prd_at = ch->bm_table;
	ch->prd_left = 0;
	ch->prd_loaded = ch->prd_last = false;
	if (ch->phase == IDE_WAIT_DMA)
		run(ch);
}

static uint8_t read_byte(struct ide_channel *ch, unsigned reg)
{
	switch (reg) {
	case 0:
		return ch->bm_command;
	case 2:
		return ch->bm_status;
	case 4: case 5: case 6: case 7:
		return ch->bm_table >> 8 * (reg - 4);
	default:
		return 0;
	}
}

static void write_byte(struct ide_channel *ch, unsigned reg, uint8_t val)
{
	switch (reg) {
	case 0:
		write_command(ch, val);
		break;
	case 2:			/* 6:5 are scratch (drive n can do DMA), 2:1 are cleared by writing 1 */
		ch->bm_status = (val & 0x60) | (ch->bm_status & ~0x60 & ~(val & (BM_ERROR | BM_INTERRUPT)));
		break;
	case 4: case 5: case 6: case 7:
		ch->bm_table &= ~(0xFFu << 8 * (reg - 4));
		ch->bm_table |= (uint32_t)(reg == 4 ? val & ~3 : val) << 8 * (reg - 4);
		break;
	}
}

uint32_t ide_bm_read(struct ide *ide, unsigned offset, unsigned size)
{
	uint32_t val = 0;

	for (unsigned i = 0; i < size; i++)
		val |= (uint32_t)read_byte(&ide->channel[(offset + i) >> 3 & 1], (offset + i) & 7) << 8 * i;
	return val;
}

void ide_bm_write(struct ide *ide, unsigned offset, unsigned size, uint32_t val)
{
	for (unsigned i = 0; i < size; i++)
		write_byte(&ide->channel[(offset + i) >> 3 & 1], (offset + i) & 7, val >> 8 * i);
}
