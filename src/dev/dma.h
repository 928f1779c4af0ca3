/*
 * Two 8237A DMA controllers, cascaded through channel 4, with the PC/AT's page registers.
 */
#ifndef PLEX86_DEV_DMA_H
#define PLEX86_DEV_DMA_H

#include "util/types.h"

struct dma_channel {
	uint16_t base_address, base_count, address, count;
	uint8_t mode;
	uint8_t page;			/* A16..A23 */
	uint8_t page_high;		/* A24..A31 (480h..), where a chip set has it: plain storage here */
};

struct dma_chip {
	struct dma_channel channel[4];
	uint8_t command, mask, request, status, temporary;
	bool flip_flop;			/* the next byte is the high one */
};

struct dma {
	struct dma_chip chip[2];	/* 0: channels 0-3, bytes; 1: channels 4-7, words */
	uint8_t page_spare[16];		/* page ports of no channel (84h-86h, 88h, 8Ch-8Eh): plain storage */
};

/* How the controller reaches memory. */
struct dma_memory {
	void (*read)(void *arg, gpa_t gpa, void *buf, size_t len);
	void (*write)(void *arg, gpa_t gpa, const void *buf, size_t len);
	void *arg;
};

void dma_reset(struct dma *dma);

/* Ports 00h-0Fh, 81h-8Fh (page), C0h-DFh, 481h-48Bh (high page). */
uint8_t dma_read(struct dma *dma, uint16_t port);
void dma_write(struct dma *dma, uint16_t port, uint8_t val);

/* May channel (0..3, 5..7) transfer: not masked, controller enabled, cascade open. */
bool dma_ready(const struct dma *dma, unsigned channel);
/* Bytes left until terminal count (1..65536, words counted double). */
size_t dma_left(const struct dma *dma, unsigned channel);

/*
 * The device on channel (0..3, 5..7) has DREQ up and moves up to len bytes from or to buf, in the
 * direction the channel's mode register says (write transfer: buf to memory). Returns the bytes
 * moved, less than len at terminal count; *tc says whether it was reached. 0: masked or disabled.
 * A verify transfer moves the count only.
 */
size_t dma_transfer(struct dma *dma, unsigned channel, void *buf, size_t len, bool *tc, const struct dma_memory *mem);
/* Direction of channel's mode: 0 verify, 1 to memory, 2 from memory. */
unsigned dma_direction(const struct dma *dma, unsigned channel);

#endif
