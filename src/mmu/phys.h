/*
 * Guest-physical memory: RAM (one memfd, seen once linearly: the physical view), ROM, MMIO.
 */
#ifndef PLEX86_MMU_PHYS_H
#define PLEX86_MMU_PHYS_H

#include "meter/device.h"
#include "util/types.h"

enum phys_kind { PHYS_NONE, PHYS_RAM, PHYS_ROM, PHYS_MMIO };

/* A memory-mapped device: offset is from the start of its region; size 1, 2, 4 (wider and
 * page-crossing accesses are split by the caller). */
struct mmio_ops {
	uint32_t (*read)(void *arg, gpa_t offset, unsigned size);
	void (*write)(void *arg, gpa_t offset, unsigned size, uint32_t val);
};

/*
 * A run of guest-physical pages. RAM and ROM: backed by the memfd at fd_offset. ROM: stores are
 * dropped. Later regions override earlier ones (PAM, VGA, BARs are added on top and removed again).
 */
struct phys_region {
	gpa_t start;			/* page aligned */
	uint64_t size;			/* bytes, whole pages */
	enum phys_kind kind;
	uint64_t fd_offset;		/* RAM, ROM */
	const struct mmio_ops *ops;	/* MMIO */
	void *arg;
	const char *name;
	uint8_t meter;			/* of its name in phys.devices */
};

enum {					/* phys.page_flags[], one byte a page of the memfd */
	PAGE_CODE	= BIT(0),	/* decoded or scanned blocks come from here: stores must be seen */
	PAGE_TLB_WRITE	= BIT(1),	/* a write TLB entry or writable window mapping may exist */
	PAGE_TRACKED	= BIT(2),	/* dirty tracking (frame buffer): the first store sets PAGE_DIRTY */
	PAGE_DIRTY	= BIT(3),
	PAGE_SCAN	= BIT(4),	/* as PAGE_CODE, for scanned blocks; each tier clears its own */
};

#define PHYS_MAX_REGIONS 64

struct phys {
	int fd;				/* memfd */
	uint8_t *ram;			/* the physical view: memfd offset 0 is ram[0] */
	uint64_t fd_bytes;		/* in use: RAM, then what phys_alloc_extra() gave for ROMs and video memory */
	uint64_t reserved_bytes;	/* size of the memfd */
	uint64_t ram_bytes;		/* guest RAM (-m) */
	uint8_t *page_flags;		/* [fd_bytes / 4096] */
	struct phys_region region[PHYS_MAX_REGIONS];
	unsigned nregions;
	gpa_t a20_mask;			/* ~0, or ~(1 << 20) */
	/* page look-up cache, derived from region[]: for gpa < 4 GiB, index by gpa >> 12 */
	uint8_t *page_region;		/* [1 << 20] region index + 1, 0 = none */
	/* called after bytes of a PAGE_CODE page changed, by the CPU or a device, before the guest goes on */
	void (*code_written)(void *arg, uint64_t fd_offset, unsigned len);
	void (*map_changed)(void *arg);	/* regions changed: every cached translation is stale */
	void *arg;
	uint64_t mmio_accesses;
	METER_DEVICES(devices)		/* accesses to MMIO regions, by name */
};

/* RAM of ram_bytes (page multiple) plus extra_bytes for ROMs and video memory behind it, lazily
 * backed. Adds one RAM region [0, ram_bytes), unless that is empty. 0 or -errno. */
int phys_init(struct phys *phys, uint64_t ram_bytes, uint64_t extra_bytes);
void phys_free(struct phys *phys);
uint64_t phys_alloc_extra(struct phys *phys, uint64_t bytes);	/* fd_offset of fresh zeroed pages; aborts the VM set-up if full */

/* Put a region on top of what is there / remove the one of that name. */
void phys_add(struct phys *phys, struct phys_region region);
void phys_remove(struct phys *phys, const char *name);

/* The region that answers at gpa (A20 applied), or NULL: nothing there, reads FFh. */
const struct phys_region *phys_find(const struct phys *phys, gpa_t gpa);

/* Pointer into the physical view if gpa's page is RAM (or ROM, for reading), else NULL. */
uint8_t *phys_host(const struct phys *phys, gpa_t gpa, bool write);

/*
 * Copy guest-physical memory, any length, across pages and regions. RAM and ROM are copied, MMIO
 * is dispatched in naturally aligned pieces, holes read as FFh and drop writes.
 * phys_write() reports stores to PAGE_CODE pages (code_written): devices use it for DMA.
 */
void phys_read(struct phys *phys, gpa_t gpa, void *buf, size_t len);
void phys_write(struct phys *phys, gpa_t gpa, const void *buf, size_t len);
/* What a loader puts there, before the guest runs: cheaper in large pieces, and not kept in the physical view, where it would
 * count as resident beside the guest's own use of it. */
void phys_load(struct phys *phys, gpa_t gpa, const void *data, size_t len);

/* One access of 1, 2 or 4 bytes inside a page: RAM, ROM or MMIO. */
uint32_t phys_read_n(struct phys *phys, gpa_t gpa, unsigned size);
void phys_write_n(struct phys *phys, gpa_t gpa, unsigned size, uint32_t val);

/* The memfd's page that holds a byte which phys_host() gave: the index of page_flags. */
static inline uint64_t phys_fd_page(const struct phys *phys, const uint8_t *host)
{
	return (uint64_t)(host - phys->ram) >> PAGE_SHIFT;
}

/* Bytes of a RAM page were changed through phys_host(): drop blocks made from them. */
void phys_dirty(struct phys *phys, gpa_t gpa, size_t len);

#endif
