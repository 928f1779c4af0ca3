/*
 * Memory of a library's machine.
 *
 * All of it is in the machine's memfd, which the windows need. A caller's buffer becomes a second view of its part
 * of the file, at the address it has: what it held is copied in first, and copied out when it is unmapped.
 */
#include "lib/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mmu/mmu.h"

#define GPA_END (1ull << 32)

static int check_range(plex86 *m, uint64_t gpa, uint64_t bytes)
{
	if ((gpa | bytes) & PAGE_MASK || bytes == 0)
		return lib_fail(m, PLEX86_E_ARGUMENT, "%#llx + %#llx: not whole pages of 4 KiB", (unsigned long long)gpa, (unsigned long long)bytes);
	if (gpa >= GPA_END || bytes > GPA_END - gpa)
		return lib_fail(m, PLEX86_E_ARGUMENT, "%#llx + %#llx: above 4 GiB", (unsigned long long)gpa, (unsigned long long)bytes);
	return PLEX86_OK;
}

/* Room for bytes in the memfd: the first gap between what is mapped. */
static bool find_room(const plex86 *m, uint64_t bytes, uint64_t *fd_offset)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < m->nmappings; i++) {
		const struct mapping *o = m->mapping[i];
		if (!o->mmio && o->fd_offset < at + bytes && at < o->fd_offset + o->bytes) {
			at = o->fd_offset + o->bytes;
			i = ~0u;		/* again from the first */
		}
	}
	*fd_offset = at;
	return at + bytes <= m->phys.reserved_bytes;
}

static struct mapping *new_mapping(plex86 *m, uint64_t gpa, uint64_t bytes, int *err)
{
	*err = check_range(m, gpa, bytes);
	for (unsigned i = 0; i < m->nmappings && !*err; i++) {
		const struct mapping *o = m->mapping[i];
		if (gpa < o->gpa + o->bytes && o->gpa < gpa + bytes)
			*err = lib_fail(m, PLEX86_E_EXISTS, "%#llx: something is mapped at %#llx already", (unsigned long long)gpa,
			    (unsigned long long)o->gpa);
	}
	if (!*err && m->nmappings == MAPPINGS_MAX)
		*err = lib_fail(m, PLEX86_E_MEMORY, "more than %u mappings", MAPPINGS_MAX);
	struct mapping *p = *err ? NULL : calloc(1, sizeof(*p));
	if (!*err && !p)
		*err = lib_fail(m, PLEX86_E_MEMORY, "no memory for the mapping");
	if (!p)
		return NULL;
	p->machine = m;
	p->gpa = gpa;
	p->bytes = bytes;
	snprintf(p->name, sizeof(p->name), "%09llx", (unsigned long long)gpa);
	return p;
}

/* The buffer becomes a view of the file, with what it holds. */
static int share(plex86 *m, struct mapping *p, void *buffer)
{
	memcpy(m->phys.ram + p->fd_offset, buffer, p->bytes);
	if (mmap(buffer, p->bytes, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, m->phys.fd, (off_t)p->fd_offset) == MAP_FAILED)
		return lib_fail(m, PLEX86_E_HOST, "cannot share the buffer: %s", strerror(errno));
	p->buffer = buffer;
	return PLEX86_OK;
}

int plex86_map(plex86 *m, uint64_t gpa, uint64_t bytes, uint32_t flags, void *buffer)
{
	int err = PLEX86_OK;

	if (flags & ~(uint32_t)PLEX86_READ_ONLY)
		return lib_fail(m, PLEX86_E_ARGUMENT, "unknown flags %#x", flags);
	if ((uintptr_t)buffer & PAGE_MASK)
		return lib_fail(m, PLEX86_E_ARGUMENT, "the buffer does not begin at a page border");
	struct mapping *p = new_mapping(m, gpa, bytes, &err);
	if (!p)
		return err;
	p->flags = flags;
	if (!find_room(m, bytes, &p->fd_offset))
		err = lib_fail(m, PLEX86_E_MEMORY, "memory_bytes, %llu, are used up", (unsigned long long)m->phys.reserved_bytes);
	else if (buffer)
		err = share(m, p, buffer);
	if (err) {
		free(p);
		return err;
	}
	m->mapping[m->nmappings++] = p;
	phys_add(&m->phys, (struct phys_region){ .start = gpa, .size = bytes, .name = p->name, .fd_offset = p->fd_offset,
	    .kind = flags & PLEX86_READ_ONLY ? PHYS_ROM : PHYS_RAM });
	return PLEX86_OK;
}

/* The buffer is the caller's again. */
static int give_back(plex86 *m, struct mapping *p)
{
	if (!p->buffer)
		return PLEX86_OK;
	if (mmap(p->buffer, p->bytes, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return lib_fail(m, PLEX86_E_HOST, "cannot give the buffer back: %s", strerror(errno));
	memcpy(p->buffer, m->phys.ram + p->fd_offset, p->bytes);
	p->buffer = NULL;
	return PLEX86_OK;
}

int plex86_unmap(plex86 *m, uint64_t gpa, uint64_t bytes)
{
	for (unsigned i = 0; i < m->nmappings; i++) {
		struct mapping *p = m->mapping[i];
		if (p->gpa != gpa || p->bytes != bytes)
			continue;
		int err = give_back(m, p);
		if (err)
			return err;
		phys_remove(&m->phys, p->name);
		if (!p->mmio)		/* the next that gets it finds zeros; and the host its memory */
			fallocate(m->phys.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)p->fd_offset, (off_t)p->bytes);
		m->mapping[i] = m->mapping[--m->nmappings];
		free(p);
		return PLEX86_OK;
	}
	return lib_fail(m, PLEX86_E_MISSING, "nothing was mapped at %#llx with %#llx bytes", (unsigned long long)gpa, (unsigned long long)bytes);
}

void lib_unmap_all(plex86 *m)
{
	for (unsigned i = 0; i < m->nmappings; i++) {
		give_back(m, m->mapping[i]);
		free(m->mapping[i]);
	}
	m->nmappings = 0;
}

/* --- MMIO --- */

static uint32_t mmio_read(void *arg, gpa_t offset, unsigned size)
{
	struct mapping *p = arg;
	plex86 *m = p->machine;
	uint32_t value = 0xFFFFFFFF;

	if (p->read) {
		enum inside before = lib_enter(m, INSIDE_ACCESS);
		if (p->read(p->arg, m, p->gpa + offset, size, &value) == PLEX86_STOP)
			lib_stop(m, PLEX86_STOP_MMIO, p->gpa + offset);
		lib_leave(m, before);
	}
	return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static void mmio_write(void *arg, gpa_t offset, unsigned size, uint32_t val)
{
	struct mapping *p = arg;
	plex86 *m = p->machine;

	if (!p->write)
		return;
	enum inside before = lib_enter(m, INSIDE_ACCESS);
	if (p->write(p->arg, m, p->gpa + offset, size, val) == PLEX86_STOP)
		lib_stop(m, PLEX86_STOP_MMIO, p->gpa + offset);
	lib_leave(m, before);
}

static const struct mmio_ops mmio_ops = { .read = mmio_read, .write = mmio_write };

int plex86_map_mmio(plex86 *m, uint64_t gpa, uint64_t bytes, plex86_mmio_read_fn *read, plex86_mmio_write_fn *write, void *arg)
{
	int err;
	struct mapping *p = new_mapping(m, gpa, bytes, &err);

	if (!p)
		return err;
	p->mmio = true;
	p->read = read;
	p->write = write;
	p->arg = arg;
	m->mapping[m->nmappings++] = p;
	phys_add(&m->phys, (struct phys_region){ .start = gpa, .size = bytes, .name = p->name, .kind = PHYS_MMIO,
	    .ops = &mmio_ops, .arg = p });
	return PLEX86_OK;
}

/* --- from outside --- */

const struct mapping *lib_mapping(const plex86 *m, uint64_t gpa, uint64_t bytes)
{
	for (unsigned i = 0; i < m->nmappings; i++) {
		const struct mapping *p = m->mapping[i];
		if (!p->mmio && gpa >= p->gpa && gpa - p->gpa < p->bytes && bytes <= p->bytes - (gpa - p->gpa))
			return p;
	}
	return NULL;
}

void *plex86_memory(plex86 *m, uint64_t gpa, uint64_t bytes)
{
	const struct mapping *p = lib_mapping(m, gpa, bytes);

	if (p)
		return m->phys.ram + p->fd_offset + (gpa - p->gpa);
	lib_fail(m, PLEX86_E_MISSING, "%#llx + %#llx: not memory mapped in one piece", (unsigned long long)gpa, (unsigned long long)bytes);
	return NULL;
}

void lib_changed(plex86 *m, uint64_t fd_offset, uint64_t bytes)
{
	while (bytes > 0) {
		uint64_t n = MIN(bytes, PAGE_BYTES - (fd_offset & PAGE_MASK));
		if (m->phys.page_flags[fd_offset >> PAGE_SHIFT] & (PAGE_CODE | PAGE_SCAN))
			m->phys.code_written(m->phys.arg, fd_offset, (unsigned)n);
		fd_offset += n;
		bytes -= n;
	}
}

int plex86_memory_changed(plex86 *m, uint64_t gpa, uint64_t bytes)
{
	const struct mapping *p = lib_mapping(m, gpa, bytes);

	if (!p)
		return lib_fail(m, PLEX86_E_MISSING, "%#llx + %#llx: not memory mapped in one piece", (unsigned long long)gpa, (unsigned long long)bytes);
	lib_changed(m, p->fd_offset + (gpa - p->gpa), bytes);
	return PLEX86_OK;
}

/* Memory from gpa on: how much of bytes lies in one mapping; 0: none. */
static uint64_t piece(const plex86 *m, uint64_t gpa, uint64_t bytes, uint64_t *fd_offset)
{
	const struct mapping *p = lib_mapping(m, gpa, 1);

	if (!p)
		return 0;
	*fd_offset = p->fd_offset + (gpa - p->gpa);
	return MIN(bytes, p->bytes - (gpa - p->gpa));
}

static int all_memory(plex86 *m, uint64_t gpa, uint64_t bytes)
{
	uint64_t at;

	for (uint64_t done = 0, n; done < bytes; done += n) {
		n = piece(m, gpa + done, bytes - done, &at);
		if (n == 0)
			return lib_fail(m, PLEX86_E_MISSING, "there is no memory at %#llx", (unsigned long long)(gpa + done));
	}
	return PLEX86_OK;
}

/* All of it is memory. */
static void copy(plex86 *m, uint64_t gpa, uint8_t *buf, uint64_t bytes, bool write)
{
	uint64_t at = 0;

	for (uint64_t n; bytes > 0; gpa += n, buf += n, bytes -= n) {
		n = piece(m, gpa, bytes, &at);
		if (write) {
			memcpy(m->phys.ram + at, buf, n);
			lib_changed(m, at, n);
		} else {
			memcpy(buf, m->phys.ram + at, n);
		}
	}
}

int plex86_read(plex86 *m, uint64_t gpa, void *to, size_t bytes)
{
	int err = all_memory(m, gpa, bytes);

	if (!err)
		copy(m, gpa, to, bytes, false);
	return err;
}

int plex86_write(plex86 *m, uint64_t gpa, const void *from, size_t bytes)
{
	int err = all_memory(m, gpa, bytes);

	if (!err)
		copy(m, gpa, (uint8_t *)from, bytes, true);
	return err;
}

int plex86_translate(plex86 *m, uint32_t linear, uint64_t *gpa)
{
	gpa_t at;

	if (!mmu_translate(&m->cpu, linear, &at))
		return lib_fail(m, PLEX86_E_MISSING, "no page at linear address %#x", linear);
	*gpa = at & m->phys.a20_mask;
	return PLEX86_OK;
}

static int copy_linear(plex86 *m, uint32_t linear, uint8_t *buf, size_t bytes, bool write)
{
	uint64_t gpa;
	int err = PLEX86_OK;

	if (bytes > 1ull << 32)
		return lib_fail(m, PLEX86_E_ARGUMENT, "more than 4 GiB");
	/* twice: everything is looked at before the first byte is copied */
	for (unsigned copying = 0; copying < 2 && !err; copying++) {
		for (size_t done = 0, n; done < bytes && !err; done += n) {
			uint32_t at = linear + (uint32_t)done;
			n = MIN(bytes - done, PAGE_BYTES - (at & PAGE_MASK));
			err = plex86_translate(m, at, &gpa);
			if (!err)
				err = copying ? 0 : all_memory(m, gpa, n);
			if (!err && copying)
				copy(m, gpa, buf + done, n, write);
		}
	}
	return err;
}

int plex86_read_linear(plex86 *m, uint32_t linear, void *to, size_t bytes)
{
	return copy_linear(m, linear, to, bytes, false);
}

int plex86_write_linear(plex86 *m, uint32_t linear, const void *from, size_t bytes)
{
	return copy_linear(m, linear, (uint8_t *)from, bytes, true);
}
