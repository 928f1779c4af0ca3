/*
 * Decoded blocks and their cache (block.c), for the run loop (engine.c).
 */
#ifndef PLEX86_EMULATE_BLOCK_H
#define PLEX86_EMULATE_BLOCK_H

#include "emulate/emulate.h"

enum { BLOCK_MAX_OPS = 32 };

struct op {
	exec_fn *fn;
	struct insn in;
};

/* A place in the list of blocks that hold bytes of one page. A block may be in two. */
struct block_link {
	struct block_link *next;
	struct op_block *block;
	uint64_t fd_page;
};

/*
 * A run of instructions in one guest-physical page, ending at the first that may go elsewhere or
 * change how the next is to be decoded. An instruction across a page border is a block of its own.
 * Blocks know no linear address: one serves every mapping of its page.
 */
struct op_block {
	uint64_t key;			/* block_key(); 0: dropped */
	uint64_t gpa2_page;		/* crossing block: guest-physical page number + 1 of its second page; else 0 */
	struct op_block *hash_next;
	struct block_link link[2];
	uint16_t bytes, n;		/* length of all, number of ops */
	struct op op[];
};

#define FAST_BITS 14
#define HASH_BITS 16

/* Of one page of the memfd: the blocks with bytes in it, and which 64-byte granules those are. */
struct page_code {
	struct block_link *head;
	uint64_t granules;
};

struct emulator {
	struct op_block *fast[1u << FAST_BITS];	/* by linear address: a guess, checked by key */
	struct op_block *hash[1u << HASH_BITS];
	struct op_block *running;			/* the block being carried out, or NULL */
	struct op_block *scratch;			/* for code that is not in RAM or ROM */
	struct op_block *none;			/* fills fast[]: matches nothing */
	struct page_code *pages;		/* [npages] */
	uint64_t npages;
	uint8_t *arena;				/* blocks, one behind the other; emptied whole */
	size_t used;
	bool flush_wanted;			/* at the next boundary: a block is being carried out */
	bool stepping;				/* one instruction, wherever it is: nothing is held */
};

/* page: guest-physical page number + 1, as the code TLB has it. */
static inline uint64_t block_key(uint32_t page, lin_t lin, bool big)
{
	return (uint64_t)page << (PAGE_SHIFT + 1) | (lin & PAGE_MASK) << 1 | big;
}

static inline unsigned fast_index(lin_t lin)
{
	return (lin ^ lin >> FAST_BITS) & ((1u << FAST_BITS) - 1);
}

/* The block at CS:EIP by whatever it takes; may raise what the fetch of its first instruction does. */
struct op_block *block_find_slow(struct vcpu *cpu, struct emulator *em);

static inline struct op_block *block_find(struct vcpu *cpu, struct emulator *em)
{
	lin_t lin = cpu->seg[SEG_CS].base + cpu->eip;
	uint32_t page = cpu->tlbs[cpu->cpl == 3].code[lin >> PAGE_SHIFT];
	struct op_block *b = em->fast[fast_index(lin)];

	if (likely(page != 0 && b->key == block_key(page, lin, cpu->seg[SEG_CS].attr & SEG_DB)))
		return b;
	return block_find_slow(cpu, em);
}

#endif
