/*
 * The code cache: host code, the blocks that describe it, and how they are found.
 *
 * One memfd seen twice, writable and executable, at different addresses (invariant 2). Space is
 * handed out upwards; when it runs out everything goes and the guest's working set is scanned
 * again. A dropped block is unlinked at once, its bytes are reused only after the next reset: a
 * branch already on its way into it stays harmless.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "mmu/phys.h"
#include "scan/internal.h"
#include "util/pages.h"

#define SOON_CYCLES 512			/* of the TSC a byte of the cache: 32 MiB are scanned in a twentieth of that */
#define BLOCK_ROOM (64u << 10)		/* more than the largest block with its cold part */

static int map_views(struct scanner *s)
{
	int fd = memfd_create("plex86-code", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int err = 0;
	if (ftruncate(fd, (off_t)s->bytes) < 0) {
		err = -errno;
	} else {
		s->rw = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
		s->rx = mmap(NULL, s->bytes, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_NORESERVE, fd, 0);
		if (s->rw == MAP_FAILED || s->rx == MAP_FAILED)
			err = -errno;
	}
	close(fd);
	return err;
}

static int map_return_stacks(struct scanner *s)
{
	for (unsigned i = 0; i < 2; i++) {
		struct return_stack *r = &s->ret[i];
		r->base = pages_map(RETURN_STACK_BYTES);
		if (!r->base || mprotect(r->base, PAGE_BYTES, PROT_NONE) < 0)	/* overflow: a fault, see recover.c */
			return -ENOMEM;
		r->top = r->rsp = (uint64_t)(uintptr_t)r->base + RETURN_STACK_BYTES - 64;
	}
	return 0;
}

int cache_init(struct scanner *s, size_t bytes, size_t at_most)
{
	s->limit = bytes;
	bytes = s->bytes = at_most;
	s->max_blocks = (uint32_t)(bytes / 128);
	s->max_sites = (uint32_t)(bytes / 48);
	s->max_links = s->max_blocks * 4;
	s->arena_bytes = bytes;
	s->hash = pages_map(BLOCK_HASH * sizeof(*s->hash));
	s->page_blocks = pages_map((s->cpu->phys->reserved_bytes >> PAGE_SHIFT) * sizeof(*s->page_blocks));
	s->granules = pages_map((s->cpu->phys->reserved_bytes >> PAGE_SHIFT) * sizeof(*s->granules));
	s->churn = pages_map((s->cpu->phys->reserved_bytes >> PAGE_SHIFT) * sizeof(*s->churn));
	s->order = pages_map(s->max_blocks * sizeof(*s->order));
	s->sites = pages_map(s->max_sites * sizeof(*s->sites));
	s->links = pages_map(s->max_links * sizeof(*s->links));
	s->arena = pages_map(s->arena_bytes);
	if (!s->hash || !s->page_blocks || !s->granules || !s->churn || !s->order || !s->sites || !s->links || !s->arena)
		return -ENOMEM;
	int err = map_views(s);
	return err ? err : map_return_stacks(s);
}

int cache_begin(struct scanner *s)
{
	int fd = memfd_create("plex86-jumps", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	s->jump_fd = fd;
	if (ftruncate(fd, JUMP_CACHE_BYTES) < 0)
		return -errno;
	uint8_t **p = mmap(NULL, JUMP_CACHE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < JUMP_CACHE_ENTRIES; i++)
		p[i] = s->glue.indirect;
	munmap(p, JUMP_CACHE_BYTES);
	return 0;
}

void cache_free(struct scanner *s)
{
	struct { void *p; size_t bytes; } maps[] = {
		{ s->hash, BLOCK_HASH * sizeof(*s->hash) },
		{ s->page_blocks, (s->cpu->phys->reserved_bytes >> PAGE_SHIFT) * sizeof(*s->page_blocks) },
		{ s->granules, (s->cpu->phys->reserved_bytes >> PAGE_SHIFT) * sizeof(*s->granules) },
		{ s->churn, (s->cpu->phys->reserved_bytes >> PAGE_SHIFT) * sizeof(*s->churn) },
		{ s->order, s->max_blocks * sizeof(*s->order) },
		{ s->sites, s->max_sites * sizeof(*s->sites) },
		{ s->links, s->max_links * sizeof(*s->links) },
		{ s->arena, s->arena_bytes },
		{ s->rw, s->bytes }, { s->rx, s->bytes },
		{ s->ret[0].base, RETURN_STACK_BYTES }, { s->ret[1].base, RETURN_STACK_BYTES },
	};
	for (unsigned i = 0; i < ARRAY_LEN(maps); i++)
		if (maps[i].p && maps[i].p != MAP_FAILED)
			munmap(maps[i].p, maps[i].bytes);
	for (unsigned i = 0; i < SCAN_MODES; i++)
		if (s->modes[i].jump)
			munmap(s->modes[i].jump, JUMP_CACHE_BYTES);
	if (s->jump_fd)
		close(s->jump_fd);
}

void cache_reset(struct scanner *s)
{
	METER_ONLY(uint64_t flushed = 0);
	for (uint32_t i = 0; i < s->nblocks; i++) {
		const struct block *b = s->order[i];
		METER_ONLY(flushed += !b->dead);
		for (unsigned k = 0; k < 2; k++) {
			s->page_blocks[b->fd_page[k]] = NULL;
			s->granules[b->fd_page[k]] = 0;
			s->cpu->phys->page_flags[b->fd_page[k]] &= (uint8_t)~PAGE_SCAN;
		}
	}
	madvise(s->hash, BLOCK_HASH * sizeof(*s->hash), MADV_DONTNEED);
	for (unsigned i = 0; i < SCAN_MODES; i++) {
		if (!s->modes[i].jump)
			continue;
		madvise(s->modes[i].jump, JUMP_CACHE_BYTES, MADV_DONTNEED);
		s->modes[i].used = false;
	}
	s->nblocks = s->nsites = s->nlinks = 0;
	s->arena_used = 0;
	s->used = s->glue_bytes;
	s->cpu->scan.epoch++;
	s->slot = NULL;
	s->dropped = true;
	s->flushes++;
	METER_ADD(s->cpu, flushed, flushed);
}

/*
 * The writable view is used for new code, and for a branch here and there that is chained later. Its pages
 * count as resident a second time: give them up now and then (a page that is wanted again costs a fault).
 */
#define REST_BYTES (256u << 10)
static void rest_view(struct scanner *s)
{
	size_t whole = s->used & ~(size_t)(REST_BYTES - 1);
	if (whole < s->rested)
		s->rested = 0;			/* the cache began anew */
	if (whole == s->rested)
		return;
	madvise(s->rw, whole, MADV_DONTNEED);
	s->rested = whole;
}

/*
 * What will be written next gets its memory a piece at a time: that costs the host half to three quarters of what as many
 * faults would, and a tenth where the executable view finds the pages there already.
 */
#define PIECE_BYTES (64u << 10)
static void make_ready(void *p, size_t *ready, size_t used, size_t bytes)
{
	if (used + PAGE_BYTES <= *ready || *ready + PIECE_BYTES > bytes)
		return;
	madvise((uint8_t *)p + *ready, PIECE_BYTES, MADV_POPULATE_WRITE);	/* if the host cannot: faults */
	*ready += PIECE_BYTES;
}

static void make_all_ready(struct scanner *s)
{
	size_t code = s->ready_code;
	make_ready(s->rw, &s->ready_code, s->used, s->bytes);
	if (s->ready_code != code)
		madvise(s->rx + code, PIECE_BYTES, MADV_POPULATE_READ);
	make_ready(s->arena, &s->ready_arena, s->arena_used, s->arena_bytes);
	make_ready(s->sites, &s->ready_sites, s->nsites * sizeof(*s->sites), s->max_sites * sizeof(*s->sites));
	make_ready(s->links, &s->ready_links, s->nlinks * sizeof(*s->links), s->max_links * sizeof(*s->links));
}

static bool full(const struct scanner *s)
{
	size_t part = s->bytes / s->limit;	/* of everything */
	return s->limit - s->used < BLOCK_ROOM || s->arena_bytes / part - s->arena_used < 8192 ||
	    s->max_blocks / part - s->nblocks < 1 || s->max_sites / part - s->nsites < 2 * BLOCK_MAX_INSNS ||
	    s->max_links / part - s->nlinks < 4 * BLOCK_MAX_INSNS;
}

/*
 * Room for a block of the largest kind. A cache that is full again soon after it was emptied does not hold what the guest
 * runs, all of which is scanned anew each time: then it gets twice the room, as long as there is more.
 */
void cache_make_room(struct scanner *s)
{
	if (likely(!full(s)))
		return;
	uint64_t now = __rdtsc();
	bool soon = s->filled && now - s->filled < s->limit * SOON_CYCLES;
	s->filled = now;
	if (soon && s->limit < s->bytes)
		s->limit *= 2;
	else
		cache_reset(s);
}

void *cache_alloc(struct scanner *s, size_t bytes)
{
	void *p = s->arena + s->arena_used;
	s->arena_used += (bytes + 7) & ~(size_t)7;
	assert(s->arena_used <= s->arena_bytes);
	memset(p, 0, bytes);
	return p;
}

static unsigned hash_of(uint32_t gpa, uint32_t eip, uint32_t mode)
{
	uint32_t h = (gpa ^ eip << 7 ^ mode << 11) * 0x9E3779B1u;
	return h >> 16;
}

struct block *cache_find(struct scanner *s, uint32_t gpa, uint32_t mode)
{
	const struct segment *cs = &s->cpu->seg[SEG_CS];
	uint32_t eip = s->cpu->eip;
	for (struct block *b = s->hash[hash_of(gpa, eip, mode)]; b; b = b->hash_next)
		if (b->gpa == gpa && b->eip == eip && b->mode == mode && b->cs_base == cs->base && b->cs_limit == cs->limit)
			return b;
	return NULL;
}

static uint64_t block_granules(const struct block *b, unsigned k)
{
	if (k == 0)
		return granule_mask(b->fd_lo, MIN(b->fd_hi, PAGE_BYTES));
	return granule_mask(0, b->fd_hi - PAGE_BYTES);
}

void cache_insert(struct scanner *s, struct block *b)
{
	rest_view(s);
	make_all_ready(s);
	unsigned h = hash_of(b->gpa, b->eip, b->mode);
	b->hash_next = s->hash[h];
	s->hash[h] = b;
	for (unsigned k = 0; k < (b->fd_page[0] == b->fd_page[1] ? 1u : 2u); k++) {
		b->page_next[k] = s->page_blocks[b->fd_page[k]];
		s->page_blocks[b->fd_page[k]] = b;
		s->granules[b->fd_page[k]] |= block_granules(b, k);
	}
	s->order[s->nblocks++] = b;
	METER_ADD(s->cpu, blocks, 1);
}

static void forget_page(struct scanner *s, struct block *b, unsigned k)
{
	struct block **p = &s->page_blocks[b->fd_page[k]];
	while (*p && *p != b) {
		/* a block is in a page's list under the index at which it holds that page */
		unsigned j = (*p)->fd_page[0] == b->fd_page[k] ? 0 : 1;
		p = &(*p)->page_next[j];
	}
	if (*p)
		*p = b->page_next[k];
	uint64_t page = b->fd_page[k], mask = 0;
	for (const struct block *o = s->page_blocks[page]; o; ) {
		unsigned j = o->fd_page[0] == page ? 0 : 1;
		mask |= block_granules(o, j);
		o = o->page_next[j];
	}
	s->granules[page] = mask;
}

void cache_drop(struct scanner *s, struct block *b)
{
	struct block **p = &s->hash[hash_of(b->gpa, b->eip, b->mode)];
	while (*p && *p != b)
		p = &(*p)->hash_next;
	if (*p)
		*p = b->hash_next;
	forget_page(s, b, 0);
	if (b->fd_page[0] != b->fd_page[1])
		forget_page(s, b, 1);
	for (uint32_t n = b->in; n; n = s->links[n - 1].next_in) {
		s->links[n - 1].to = NULL;
		asm_patch(s->rx + s->links[n - 1].field, s->rx + s->links[n - 1].stub, cache_delta(s));
	}
	b->in = 0;
	for (unsigned i = 0; i < SCAN_MODES; i++) {
		struct mode_slot *m = &s->modes[i];
		uint8_t **e = m->used ? jump_at(m, b->cs_base, b->eip) : NULL;
		if (e && *e == block_hashed(b))
			*e = s->glue.indirect;
	}
	b->dead = true;
	s->dropped = true;
	s->cpu->scan.epoch++;		/* no return may find its way back into it */
	METER_ADD(s->cpu, dropped, 1);
}

struct block *cache_block_at(struct scanner *s, const uint8_t *host)
{
	uint32_t lo = 0, hi = s->nblocks;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (s->order[mid]->host <= host)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? s->order[lo - 1] : NULL;
}

void cache_link(struct scanner *s, struct link *l, struct block *to)
{
	bool same_page = l->from->fd_page[0] == l->from->fd_page[1] && to->fd_page[0] == to->fd_page[1] &&
	    (l->from->eip + l->from->cs_base) >> PAGE_SHIFT == (to->eip + to->cs_base) >> PAGE_SHIFT &&
	    l->from->fd_page[0] == to->fd_page[0];
	const uint8_t *at = same_page ? block_near(to) : block_far(to);
	if (l->open && l->from == to)
		at = to->host + to->rec[0].host_off;
	asm_patch(s->rx + l->field, at, cache_delta(s));
	l->to = to;
	l->next_in = to->in;
	to->in = (uint32_t)(l - s->links) + 1;
	METER_ADD(s->cpu, chained, 1);
}

/* The next free slot, or one of another mode, emptied: not one whose hash is named in blocks. */
static struct mode_slot *take_slot(struct scanner *s)
{
	for (unsigned i = 0; i < SCAN_MODES; i++)
		if (!s->modes[i].used)
			return &s->modes[i];
	for (unsigned i = 0; i < SCAN_MODES; i++) {
		struct mode_slot *m = &s->modes[s->next_slot++ % SCAN_MODES];
		if (!mode_keyed(m->mode) || m == s->slot)
			continue;
		madvise(m->jump, JUMP_CACHE_BYTES, MADV_DONTNEED);
		return m;
	}
	return NULL;
}

/* NULL: too many modes, the cache must be emptied first. */
struct mode_slot *cache_mode(struct scanner *s, uint32_t mode, uint32_t cs_base, uint32_t cs_limit)
{
	if (mode_keyed(mode))
		cs_base = 0;
	struct mode_slot *m = mode_slot_of(s->modes, mode, cs_base, cs_limit);
	if (m)
		return m;
	m = take_slot(s);
	if (!m)
		return NULL;
	if (!m->jump) {
		void *p = mmap(NULL, JUMP_CACHE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, s->jump_fd, 0);
		if (p == MAP_FAILED)
			return NULL;
		m->jump = p;
	}
	m->used = true;
	m->mode = mode;
	m->cs_base = cs_base;
	m->cs_limit = cs_limit;
	return m;
}
