/*
 * The cache of decoded blocks.			[SDM 3, "Handling Self- and Cross-Modifying Code"]
 *
 * A block is found by guess (a direct-mapped table by linear address), else by its physical address
 * (a hash), else decoded. Pages with blocks are PAGE_CODE, so every store there is reported by
 * emulate_code_written(), which drops the blocks it touches; a page that has lost its last block
 * goes back to plain stores. Memory is one arena, emptied whole when full, so it is bounded and
 * a dropped block stays readable until nobody can be in it.
 */
#include "emulate/block.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cpu/intercept.h"
#include "cpu/stops.h"
#include "mmu/phys.h"
#include "util/pages.h"

#define ARENA_BYTES	(48u << 20)
#define BLOCK_BYTES(n)	((sizeof(struct op_block) + (n) * sizeof(struct op) + 15) & ~(size_t)15)

int emulate_init(struct vcpu *cpu)
{
	struct emulator *em = calloc(1, sizeof(*em));

	if (!em)
		return -ENOMEM;
	cpu->emulator = em;
	em->npages = cpu->phys->reserved_bytes >> PAGE_SHIFT;
	em->pages = pages_map(em->npages * sizeof(*em->pages));
	em->arena = pages_map(ARENA_BYTES);
	em->scratch = calloc(1, BLOCK_BYTES(1));
	em->none = calloc(1, BLOCK_BYTES(0));
	if (!em->pages || !em->arena || !em->scratch || !em->none) {
		emulate_free(cpu);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < ARRAY_LEN(em->fast); i++)
		em->fast[i] = em->none;
	return 0;
}

void emulate_free(struct vcpu *cpu)
{
	struct emulator *em = cpu->emulator;

	if (!em)
		return;
	if (em->pages)
		munmap(em->pages, em->npages * sizeof(*em->pages));
	if (em->arena)
		munmap(em->arena, ARENA_BYTES);
	free(em->scratch);
	free(em->none);
	free(em);
	cpu->emulator = NULL;
}

/* --- dropping --- */

static unsigned hash_index(uint64_t key)
{
	return (unsigned)(key * 0x9E3779B97F4A7C15u >> (64 - HASH_BITS));
}

/* The bytes of a block that lie in the page of its link slot: [*first, *end). */
static void block_extent(const struct op_block *b, unsigned slot, unsigned *first, unsigned *end)
{
	unsigned offset = (unsigned)(b->key >> 1) & PAGE_MASK, in_first = MIN(b->bytes, PAGE_BYTES - offset);

	*first = slot == 0 ? offset : 0;
	*end = slot == 0 ? offset + in_first : b->bytes - in_first;
}

static uint64_t granules(unsigned first, unsigned end)
{
	unsigned lo = first / 64, hi = (end - 1) / 64;

	return (hi == 63 ? ~0ull : (1ull << (hi + 1)) - 1) & ~((1ull << lo) - 1);
}

static void unlink_page(struct emulator *em, struct block_link *link)
{
	struct page_code *page = &em->pages[link->fd_page];
	struct block_link **at = &page->head;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	page->granules = 0;
	for (const struct block_link *l = page->head; l; l = l->next) {
		unsigned first, end;
		block_extent(l->block, (unsigned)(l - l->block->link), &first, &end);
		page->granules |= granules(first, end);
	}
}

static void drop(struct vcpu *cpu, struct emulator *em, struct op_block *b)
{
	struct op_block **at = &em->hash[hash_index(b->key)];

	while (*at != b)
		at = &(*at)->hash_next;
	*at = b->hash_next;
	unlink_page(em, &b->link[0]);
	if (b->gpa2_page)
		unlink_page(em, &b->link[1]);
	b->key = 0;
	if (b == em->running)
		__atomic_or_fetch(&cpu->attention, ATTN_CODE, __ATOMIC_RELAXED);
}

static bool written_in_page(struct vcpu *cpu, struct emulator *em, uint64_t fd_page, unsigned first, unsigned end)
{
	struct page_code *page = &em->pages[fd_page];
	bool any = false;

	if (page->granules & granules(first, end)) {
		struct block_link *next;
		for (struct block_link *l = page->head; l; l = next) {
			unsigned b_first, b_end;
			next = l->next;
			block_extent(l->block, (unsigned)(l - l->block->link), &b_first, &b_end);
			if (b_first < end && first < b_end) {
				drop(cpu, em, l->block);
				any = true;
			}
		}
	}
	if (!page->head)
		cpu->phys->page_flags[fd_page] &= (uint8_t)~PAGE_CODE;
	return any;
}

bool emulate_code_written(struct vcpu *cpu, uint64_t fd_offset, unsigned len)
{
	struct emulator *em = cpu->emulator;
	bool any = false;

	while (len > 0) {
		unsigned first = fd_offset & PAGE_MASK, n = MIN(len, PAGE_BYTES - first);
		if (em && fd_offset >> PAGE_SHIFT < em->npages)
			any |= written_in_page(cpu, em, fd_offset >> PAGE_SHIFT, first, first + n);
		fd_offset += n;
		len -= n;
	}
	return any;
}

static void flush_now(struct emulator *em)
{
	for (size_t at = 0; at < em->used; ) {
		struct op_block *b = (struct op_block *)(em->arena + at);
		for (unsigned i = 0; i < 2; i++)
			if (i == 0 || b->gpa2_page)
				em->pages[b->link[i].fd_page] = (struct page_code){ 0 };
		b->key = 0;
		at += BLOCK_BYTES(b->n);
	}
	memset(em->hash, 0, sizeof(em->hash));
	for (unsigned i = 0; i < ARRAY_LEN(em->fast); i++)
		em->fast[i] = em->none;
	em->used = 0;
	em->flush_wanted = false;
}

void emulate_flush(struct vcpu *cpu)
{
	struct emulator *em = cpu->emulator;

	if (!em)
		return;
	if (em->running) {		/* an instruction of it asked: finish that one first */
		em->flush_wanted = true;
		__atomic_or_fetch(&cpu->attention, ATTN_CODE, __ATOMIC_RELAXED);
	} else {
		flush_now(em);
	}
}

/* --- making --- */

static void exec_fetch_gp(struct vcpu *cpu, const struct insn *in)
{
	cpu_raise(cpu, EXC_GP, 0);	/* over 15 bytes */
}

/*
 * Whether what follows must be found anew: EIP, CS, the mode or the translation may be different,
 * or the instruction may have to be continued (REP). Most of what traps at CPL 3 is such; these
 * are the exceptions that are common enough to matter.
 */
static bool ends_block(const struct insn *in)
{
	switch (in->name) {
	case I_PUSHF: case I_CLI: case I_IN: case I_OUT: case I_CPUID: case I_RDTSC: case I_SMSW: case I_STR:
	case I_SLDT: case I_VERR: case I_VERW: case I_LAR: case I_LSL: case I_CLTS: case I_BOUND:
		return false;
	case I_MOVS: case I_STOS: case I_LODS: case I_CMPS: case I_SCAS:
		return in->prefix & (PREFIX_REP | PREFIX_REPNE);
	default:
		return insn_info[in->name].virt != VIRT_NATIVE;
	}
}

/* Fill op from code[0..avail), which is lin's. False: the bytes ran out. */
static bool make_op(struct vcpu *cpu, struct op *op, const uint8_t *code, size_t avail, lin_t lin, bool big)
{
	enum decode_error e = decode_insn(&op->in, code, avail, big);

	if (e == DECODE_SHORT)
		return false;
	if (e == DECODE_TOO_LONG) {
		op->fn = exec_fetch_gp;
		return true;
	}
	if (e == DECODE_UD)
		op->in.name = I_INVALID;
	op->fn = cpu_intercepts(cpu, &op->in, lin) ? cpu->intercept->run : emulate_handler(&op->in);
	return true;
}

static struct op_block *arena_alloc(struct emulator *em)
{
	if (em->used + BLOCK_BYTES(BLOCK_MAX_OPS) > ARENA_BYTES)
		flush_now(em);
	struct op_block *b = (struct op_block *)(em->arena + em->used);
	memset(b, 0, sizeof(*b));
	return b;
}

static void link_page(struct vcpu *cpu, struct emulator *em, struct op_block *b, unsigned slot, uint64_t fd_page)
{
	struct page_code *page = &em->pages[fd_page];
	unsigned first, end;

	b->link[slot] = (struct block_link){ page->head, b, fd_page };
	page->head = &b->link[slot];
	block_extent(b, slot, &first, &end);
	page->granules |= granules(first, end);
	if (!(cpu->phys->page_flags[fd_page] & PAGE_CODE))
		mmu_protect_code(cpu, fd_page << PAGE_SHIFT);
}

static struct op_block *publish(struct emulator *em, struct op_block *b, uint64_t key)
{
	struct op_block **head = &em->hash[hash_index(key)];

	b->key = key;
	b->hash_next = *head;
	*head = b;
	em->used += BLOCK_BYTES(b->n);
	return b;
}

/* Decode from host, which is lin's byte, to the end of the page or of the block. NULL: not even one. */
static struct op_block *make_block(struct vcpu *cpu, struct emulator *em, const uint8_t *host, lin_t lin, uint64_t key)
{
	struct op_block *b = arena_alloc(em);
	unsigned avail = PAGE_BYTES - (lin & PAGE_MASK);
	bool big = key & 1;

	while (b->n < BLOCK_MAX_OPS) {
		struct op *op = &b->op[b->n];
		if (!make_op(cpu, op, host + b->bytes, avail - b->bytes, lin + b->bytes, big))
			break;
		b->n++;
		b->bytes += op->in.len;
		if (op->in.name == I_INVALID || ends_block(&op->in) || (cpu->intercept && op->fn == cpu->intercept->run))
			break;
	}
	if (b->n == 0)
		return NULL;
	b->key = key;
	link_page(cpu, em, b, 0, phys_fd_page(cpu->phys, host));
	return publish(em, b, key);
}

/*
 * The one instruction that begins in lin's page and ends in the next. The limit comes first: if it
 * lies in the first page, the second is not touched.
 */
static struct op_block *make_crossing(struct vcpu *cpu, struct emulator *em, gpa_t gpa, lin_t lin, uint64_t key)
{
	unsigned in_first = PAGE_BYTES - (lin & PAGE_MASK);
	uint8_t code[16];

	if ((uint64_t)cpu->eip + in_first > cpu->seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	gpa_t gpa2 = mmu_code(cpu, lin + in_first);
	phys_read(cpu->phys, gpa, code, MIN(in_first, 15u));
	if (in_first < 15)
		phys_read(cpu->phys, gpa2, code + in_first, 15 - in_first);

	const uint8_t *host = phys_host(cpu->phys, gpa, false), *host2 = phys_host(cpu->phys, gpa2, false);
	struct op_block *b = host && host2 ? arena_alloc(em) : em->scratch;
	make_op(cpu, &b->op[0], code, 15, lin, key & 1);
	b->n = 1;
	b->bytes = b->op[0].in.len;
	if (b == em->scratch)
		return b;
	b->key = key;
	b->gpa2_page = (gpa2 >> PAGE_SHIFT) + 1;
	link_page(cpu, em, b, 0, phys_fd_page(cpu->phys, host));
	link_page(cpu, em, b, 1, phys_fd_page(cpu->phys, host2));
	return publish(em, b, key);
}

/* Code in a device or in a hole: one instruction, read and decoded each time. */
static struct op_block *make_uncached(struct vcpu *cpu, struct emulator *em, gpa_t gpa, lin_t lin, uint64_t key)
{
	unsigned avail = MIN(PAGE_BYTES - (lin & PAGE_MASK), 15u);
	struct op_block *b = em->scratch;
	uint8_t code[15];

	phys_read(cpu->phys, gpa, code, avail);
	if (!make_op(cpu, &b->op[0], code, avail, lin, key & 1))
		return make_crossing(cpu, em, gpa, lin, key);
	b->n = 1;
	b->bytes = b->op[0].in.len;
	return b;
}

/* A crossing block's second page must be the one mapped there now, unless the limit makes it moot. */
static bool second_page_right(struct vcpu *cpu, const struct op_block *b, lin_t lin)
{
	unsigned in_first = PAGE_BYTES - (lin & PAGE_MASK);

	if ((uint64_t)cpu->eip + in_first > cpu->seg[SEG_CS].limit)
		return true;
	return b->gpa2_page == (mmu_code(cpu, lin + in_first) >> PAGE_SHIFT) + 1;
}

/* Carried out in the place of an instruction that is held: nothing happens, and the run loop is left. */
static void exec_hold(struct vcpu *cpu, const struct insn *in)
{
	cpu->icount--;				/* the run loop counts it */
	if (cpu->stops->held == HELD_NO)
		cpu->stops->held = HELD_PAGE;
	__atomic_or_fetch(&cpu->attention, ATTN_DEBUG, __ATOMIC_RELAXED);
}

/* The same before an instruction of a page with breakpoints of the guest's, for cpu_check_events() to compare. */
static void exec_look(struct vcpu *cpu, const struct insn *in)
{
	cpu->icount--;
	cpu_attend(cpu, ATTN_EVENT);
}

static struct op_block *make_hold(struct emulator *em, void (*fn)(struct vcpu *cpu, const struct insn *in))
{
	struct op_block *b = em->scratch;

	b->op[0] = (struct op){ .fn = fn, .in.name = I_MOVS, .in.prefix = PREFIX_REP };	/* keeps RF */
	b->n = 1;
	b->bytes = 0;
	return b;
}

struct op_block *block_find_slow(struct vcpu *cpu, struct emulator *em)
{
	lin_t lin = cpu->seg[SEG_CS].base + cpu->eip;

	if (unlikely(cpu->stops && !em->stepping && stops_page(cpu->stops, lin)))
		return make_hold(em, exec_hold);
	if (cpu_breaks_near(cpu, lin) && !em->stepping && !cpu->breaks_looked)
		return make_hold(em, exec_look);
	cpu->breaks_looked = false;		/* for one instruction */

	cpu->insn_eip = cpu->eip;		/* a fault here is the instruction's own */
	if (cpu->eip > cpu->seg[SEG_CS].limit)
		cpu_raise(cpu, EXC_GP, 0);
	if (em->flush_wanted)
		flush_now(em);
	gpa_t gpa = mmu_code(cpu, lin);
	uint8_t *host = gpa >> 32 ? NULL : phys_host(cpu->phys, gpa, false);
	uint64_t key = block_key((uint32_t)(gpa >> PAGE_SHIFT) + 1, lin, cpu->seg[SEG_CS].attr & SEG_DB);
	if (!host)
		return make_uncached(cpu, em, gpa, lin, key);

	struct op_block *b = em->hash[hash_index(key)];
	while (b && (b->key != key || (b->gpa2_page && !second_page_right(cpu, b, lin))))
		b = b->hash_next;
	if (!b)
		b = make_block(cpu, em, host, lin, key);
	if (!b)
		return make_crossing(cpu, em, gpa, lin, key);
	if (!b->gpa2_page)
		em->fast[fast_index(lin)] = b;
	return b;
}
