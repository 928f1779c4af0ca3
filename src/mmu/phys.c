/*
 * Guest-physical memory.
 *
 * RAM, ROMs and video memory are one memfd, mapped once in the monitor (the physical view) and,
 * a page at a time, in the windows. Which region answers at an address is looked up per page in a
 * byte table made anew when the map changes (PAM, BARs: rare), so that the common question is one load.
 * Left out: RAM above 4 GiB.
 */
#include "mmu/phys.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/pages.h"

#define PAGES_4G (1u << 20)

int phys_init(struct phys *phys, uint64_t ram_bytes, uint64_t extra_bytes)
{
	memset(phys, 0, sizeof(*phys));
	phys->fd = -1;
	phys->ram_bytes = ram_bytes;
	phys->fd_bytes = ram_bytes;
	phys->a20_mask = ~(gpa_t)0;

	uint64_t total = ram_bytes + extra_bytes;
	int fd = memfd_create("plex86-guest", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	phys->fd = fd;
	if (ftruncate(fd, (off_t)total) < 0)
		goto fail;
	void *ram = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (ram == MAP_FAILED)
		goto fail;
	phys->ram = ram;
	phys->reserved_bytes = total;
	phys->page_flags = pages_map(total >> PAGE_SHIFT);
	phys->page_region = pages_map(PAGES_4G);
	if (!phys->page_flags || !phys->page_region)
		goto fail;
	if (ram_bytes)
		phys_add(phys, (struct phys_region){ .start = 0, .size = ram_bytes, .kind = PHYS_RAM, .name = "ram" });
	return 0;
fail:;
	int err = errno;
	phys_free(phys);
	return -err;
}

void phys_free(struct phys *phys)
{
	if (phys->ram)
		munmap(phys->ram, phys->reserved_bytes);
	if (phys->page_flags)
		munmap(phys->page_flags, phys->reserved_bytes >> PAGE_SHIFT);
	if (phys->page_region)
		munmap(phys->page_region, PAGES_4G);
	if (phys->fd >= 0)
		close(phys->fd);
	memset(phys, 0, sizeof(*phys));
	phys->fd = -1;
}

uint64_t phys_alloc_extra(struct phys *phys, uint64_t bytes)
{
	uint64_t at = phys->fd_bytes;
	bytes = (bytes + PAGE_MASK) & ~(uint64_t)PAGE_MASK;
	assert(at + bytes <= phys->reserved_bytes);
	phys->fd_bytes = at + bytes;
	return at;
}

static void paint(struct phys *phys, unsigned index)
{
	const struct phys_region *r = &phys->region[index];
	if (r->start >> PAGE_SHIFT >= PAGES_4G)
		return;
	uint64_t first = r->start >> PAGE_SHIFT, n = r->size >> PAGE_SHIFT;
	n = MIN(n, PAGES_4G - first);
	memset(phys->page_region + first, (int)(r->kind == PHYS_NONE ? 0 : index + 1), n);
}

void phys_add(struct phys *phys, struct phys_region region)
{
	assert(phys->nregions < PHYS_MAX_REGIONS);
	assert(((region.start | region.size) & PAGE_MASK) == 0 && region.size > 0);
	region.meter = region.kind == PHYS_MMIO ? METER_DEVICE_OF(&phys->devices, region.name) : 0;
	phys->region[phys->nregions] = region;
	paint(phys, phys->nregions++);
	if (phys->map_changed)
		phys->map_changed(phys->arg);
}

void phys_remove(struct phys *phys, const char *name)
{
	for (unsigned i = phys->nregions; i-- > 0; ) {
		if (strcmp(phys->region[i].name, name) != 0)
			continue;
		memmove(&phys->region[i], &phys->region[i + 1],
		    (phys->nregions - i - 1) * sizeof(phys->region[0]));
		phys->nregions--;
		memset(phys->page_region, 0, PAGES_4G);
		for (unsigned j = 0; j < phys->nregions; j++)
			paint(phys, j);
		if (phys->map_changed)
			phys->map_changed(phys->arg);
		return;
	}
}

const struct phys_region *phys_find(const struct phys *phys, gpa_t gpa)
{
	gpa &= phys->a20_mask;
	if (gpa >> PAGE_SHIFT >= PAGES_4G)
		return NULL;
	unsigned i = phys->page_region[gpa >> PAGE_SHIFT];
	return i ? &phys->region[i - 1] : NULL;
}

uint8_t *phys_host(const struct phys *phys, gpa_t gpa, bool write)
{
	const struct phys_region *r = phys_find(phys, gpa);
	if (!r || (r->kind != PHYS_RAM && (r->kind != PHYS_ROM || write)))
		return NULL;
	return phys->ram + r->fd_offset + ((gpa & phys->a20_mask) - r->start);
}

void phys_dirty(struct phys *phys, gpa_t gpa, size_t len)
{
	while (len > 0) {
		size_t n = MIN(len, PAGE_BYTES - (gpa & PAGE_MASK));
		uint8_t *p = phys_host(phys, gpa, true);
		if (p) {
			uint64_t off = (uint64_t)(p - phys->ram);
			uint8_t *flags = &phys->page_flags[off >> PAGE_SHIFT];
			if (*flags & PAGE_TRACKED)
				*flags |= PAGE_DIRTY;
			if (*flags & (PAGE_CODE | PAGE_SCAN) && phys->code_written)
				phys->code_written(phys->arg, off, (unsigned)n);
		}
		gpa += n;
		len -= n;
	}
}

uint32_t phys_read_n(struct phys *phys, gpa_t gpa, unsigned size)
{
	const struct phys_region *r = phys_find(phys, gpa);
	uint32_t v = 0xFFFFFFFFu;
	if (!r)
		return size == 4 ? v : v & ((1u << size * 8) - 1);
	uint64_t off = (gpa & phys->a20_mask) - r->start;
	if (r->kind == PHYS_MMIO) {
		phys->mmio_accesses++;
		METER_DEVICE_READ(&phys->devices, r->meter);
		v = r->ops->read(r->arg, off, size);
		METER_DEVICE_DONE(&phys->devices);
		return v;
	}
	v = 0;
	memcpy(&v, phys->ram + r->fd_offset + off, size);
	return v;
}

void phys_write_n(struct phys *phys, gpa_t gpa, unsigned size, uint32_t val)
{
	const struct phys_region *r = phys_find(phys, gpa);
	if (!r || r->kind == PHYS_ROM)
		return;
	uint64_t off = (gpa & phys->a20_mask) - r->start;
	if (r->kind == PHYS_MMIO) {
		phys->mmio_accesses++;
		METER_DEVICE_WRITE(&phys->devices, r->meter);
		r->ops->write(r->arg, off, size, val);
		METER_DEVICE_DONE(&phys->devices);
		return;
	}
	memcpy(phys->ram + r->fd_offset + off, &val, size);
	if (phys->page_flags[(r->fd_offset + off) >> PAGE_SHIFT] & (PAGE_CODE | PAGE_SCAN | PAGE_TRACKED))
		phys_dirty(phys, gpa, size);
}

/* The largest naturally aligned piece (1, 2, 4) at gpa within len. */
static unsigned piece(gpa_t gpa, size_t len)
{
	if ((gpa & 3) == 0 && len >= 4)
		return 4;
	if ((gpa & 1) == 0 && len >= 2)
		return 2;
	return 1;
}

void phys_read(struct phys *phys, gpa_t gpa, void *buf, size_t len)
{
	uint8_t *out = buf;
	if (piece(gpa, len) == len) {		/* most of what goes to devices */
		uint32_t v = phys_read_n(phys, gpa, (unsigned)len);
		memcpy(out, &v, len);
		return;
	}
	while (len > 0) {
		size_t n = MIN(len, PAGE_BYTES - (gpa & PAGE_MASK));
		const struct phys_region *r = phys_find(phys, gpa);
		if (!r) {
			memset(out, 0xFF, n);
		} else if (r->kind == PHYS_MMIO) {
			n = piece(gpa, n);
			uint32_t v = phys_read_n(phys, gpa, (unsigned)n);
			memcpy(out, &v, n);
		} else {
			memcpy(out, phys_host(phys, gpa, false), n);
		}
		out += n;
		gpa += n;
		len -= n;
	}
}

void phys_write(struct phys *phys, gpa_t gpa, const void *buf, size_t len)
{
	const uint8_t *in = buf;
	if (piece(gpa, len) == len) {
		uint32_t v = 0;
		memcpy(&v, in, len);
		phys_write_n(phys, gpa, (unsigned)len, v);
		return;
	}
	while (len > 0) {
		size_t n = MIN(len, PAGE_BYTES - (gpa & PAGE_MASK));
		const struct phys_region *r = phys_find(phys, gpa);
		if (r && r->kind == PHYS_MMIO) {
			n = piece(gpa, n);
			uint32_t v = 0;
			memcpy(&v, in, n);
			phys_write_n(phys, gpa, (unsigned)n, v);
		} else if (r && r->kind == PHYS_RAM) {
			memcpy(phys_host(phys, gpa, true), in, n);
			phys_dirty(phys, gpa, n);
		}
		in += n;
		gpa += n;
		len -= n;
	}
}

void phys_load(struct phys *phys, gpa_t gpa, const void *data, size_t len)
{
	const struct phys_region *r = phys_find(phys, gpa);
	uint64_t from = 0, bytes = 0;
	if (r && r->kind == PHYS_RAM) {
		from = r->fd_offset + ((gpa - r->start) & ~(uint64_t)PAGE_MASK);
		bytes = MIN(gpa + len, r->start + r->size) - r->start + r->fd_offset - from;
		madvise(phys->ram + from, bytes, MADV_POPULATE_WRITE);	/* if the host cannot: faults */
	}
	phys_write(phys, gpa, data, len);
	if (bytes)
		madvise(phys->ram + from, bytes, MADV_DONTNEED);
}
