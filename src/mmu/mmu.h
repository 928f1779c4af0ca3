/*
 * Guest memory as an instruction reaches it: segment check, TLB, page walk.
 *
 * mem_xxx(): segment:offset, with the current CPL's rights. lin_xxx(): linear address, same rights.
 * sys_xxx(): linear, supervisor rights whatever CPL is (descriptor tables, TSS, IDT, stacks of a
 * more privileged level). All may cpu_raise(): #GP/#SS from the segment, #PF from paging.
 * Accesses that cross a page check both pages before the first byte is written. Little-endian.
 */
#ifndef PLEX86_MMU_MMU_H
#define PLEX86_MMU_MMU_H

#include <string.h>

#include "cpu/cpu.h"

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_CODE };
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };	/* #PF error code */

/* --- slow paths (mmu.c). size 1..16; bytes in buf. user: rights of CPL 3 --- */
void mmu_read(struct vcpu *cpu, lin_t lin, void *buf, unsigned size, bool user);
void mmu_write(struct vcpu *cpu, lin_t lin, const void *buf, unsigned size, bool user);
/* #GP(0)/#SS(0) if [off, off + size) may not be accessed through seg; the full check. Returns linear. */
lin_t segment_check(struct vcpu *cpu, unsigned seg, uint32_t off, unsigned size, bool write);

/* Probe: raise what an access of this kind would, without doing it (sets A and, for write, D). */
void mmu_probe(struct vcpu *cpu, lin_t lin, unsigned size, enum access kind, bool user);

/* Host pointer for up to a page's rest of direct RAM access with the right checked and A/D set (may
 * raise #PF), or NULL if it must go byte by byte (MMIO, code page, watchpoint). For bulk string work. */
uint8_t *mmu_host(struct vcpu *cpu, lin_t lin, enum access kind, bool user);

/* The same without raising anything: NULL also where the guest's tables refuse. */
uint8_t *mmu_fill(struct vcpu *cpu, lin_t lin, enum access kind, bool user);
/* A device is known to answer there: there is nothing to fill. false: it may be one still. */
bool mmu_is_device(struct vcpu *cpu, lin_t lin, enum access kind, bool user);
/* The same, and where. */
bool mmu_device(struct vcpu *cpu, lin_t lin, enum access kind, bool user, gpa_t *gpa);

/* Guest-physical address for execution at lin (may raise #PF, with I/D bit rules). */
gpa_t mmu_code(struct vcpu *cpu, lin_t lin);

/* Walk without side effects, for debuggers and reports: false if not mapped. */
bool mmu_translate(struct vcpu *cpu, lin_t lin, gpa_t *gpa);

/* Lock-step's view of memory: told of every page before the CPU writes to it (page tables' A and D bits
 * included), as long as it clears the write entries it was told of, and of every entry that is made. */
struct memory_watcher {
	void (*writes)(struct memory_watcher *w, uint64_t fd_page, bool table);	/* table: A or D, by a walk */
	void (*enters)(struct memory_watcher *w, bool user, uint32_t page);
};
void mmu_clear_entry(struct vcpu *cpu, bool user, uint32_t page, bool only_write);

int mmu_init(struct vcpu *cpu);			/* allocates the tables; 0 or -errno */
void mmu_free(struct vcpu *cpu);
void mmu_flush(struct vcpu *cpu, bool global);	/* CR3 load: global = false keeps G pages (when CR4.PGE) */
void mmu_flush_page(struct vcpu *cpu, lin_t lin);	/* INVLPG */
void mmu_protect_code(struct vcpu *cpu, uint64_t fd_offset);	/* page becomes PAGE_CODE: drop its write entries */
void mmu_drop_writes(struct vcpu *cpu, uint64_t fd_offset);	/* the next store to the page is seen again (dirty tracking) */
bool mmu_watching(const struct vcpu *cpu);	/* a data breakpoint is enabled */
void mmu_each_user_page(struct vcpu *cpu, void (*fn)(struct vcpu *cpu, lin_t lin));	/* linear pages in the user TLB */
void mmu_drop_writes_range(struct vcpu *cpu, uint64_t fd_offset, uint64_t bytes);	/* the same for many, in one pass */
void mmu_update_direct(struct vcpu *cpu);	/* scan.direct: after what it depends on changed */
void mmu_select(struct vcpu *cpu);		/* after CPL, CR0.AM or EFLAGS.AC changed: which TLB accesses go through */
void mmu_debug_changed(struct vcpu *cpu);	/* DR7/DR0-3 written: watched pages must miss */
void mmu_load_pdpte(struct vcpu *cpu);		/* PAE; #GP(0) on reserved bits */

/* --- fast paths --- */

/* What the fast paths below do not do. Out of line and by value, so that a handler needs no stack frame for them. */
#define MMU_DECLARE_SLOW(bits)									\
uint##bits##_t lin_read##bits##_slow(struct vcpu *cpu, lin_t lin);				\
uint##bits##_t mem_read##bits##_slow(struct vcpu *cpu, unsigned seg, uint32_t off);		\
void lin_write##bits##_slow(struct vcpu *cpu, lin_t lin, uint##bits##_t v);			\
void mem_write##bits##_slow(struct vcpu *cpu, unsigned seg, uint32_t off, uint##bits##_t v);
MMU_DECLARE_SLOW(8)
MMU_DECLARE_SLOW(16)
MMU_DECLARE_SLOW(32)
MMU_DECLARE_SLOW(64)

#define MMU_DEFINE_READ(bits)								\
static inline uint##bits##_t lin_read##bits(struct vcpu *cpu, lin_t lin)		\
{											\
	uintptr_t e = cpu->tlb->read[lin >> PAGE_SHIFT];				\
	uint##bits##_t v;								\
	if (likely(e != 0 && (lin & PAGE_MASK) <= PAGE_BYTES - sizeof(v))) {		\
		memcpy(&v, (const void *)(e + lin), sizeof(v));				\
		return v;								\
	}										\
	return lin_read##bits##_slow(cpu, lin);						\
}											\
static inline uint##bits##_t mem_read##bits(struct vcpu *cpu, unsigned seg, uint32_t off) \
{											\
	const struct segment *s = &cpu->seg[seg];					\
	lin_t lin = s->base + off;							\
	uintptr_t e = cpu->tlb->read[lin >> PAGE_SHIFT];				\
	uint##bits##_t v;								\
	if (likely((uint64_t)off + sizeof(v) <= s->read_top && e != 0			\
	    && (lin & PAGE_MASK) <= PAGE_BYTES - sizeof(v))) {				\
		memcpy(&v, (const void *)(e + lin), sizeof(v));				\
		return v;								\
	}										\
	return mem_read##bits##_slow(cpu, seg, off);					\
}											\
static inline uint##bits##_t sys_read##bits(struct vcpu *cpu, lin_t lin)		\
{											\
	uint##bits##_t v;								\
	mmu_read(cpu, lin, &v, sizeof(v), false);					\
	return v;									\
}

#define MMU_DEFINE_WRITE(bits)								\
static inline void lin_write##bits(struct vcpu *cpu, lin_t lin, uint##bits##_t v)	\
{											\
	uintptr_t e = cpu->tlb->write[lin >> PAGE_SHIFT];				\
	if (likely(e != 0 && (lin & PAGE_MASK) <= PAGE_BYTES - sizeof(v)))		\
		memcpy((void *)(e + lin), &v, sizeof(v));				\
	else										\
		lin_write##bits##_slow(cpu, lin, v);					\
}											\
static inline void mem_write##bits(struct vcpu *cpu, unsigned seg, uint32_t off, uint##bits##_t v) \
{											\
	const struct segment *s = &cpu->seg[seg];					\
	lin_t lin = s->base + off;							\
	uintptr_t e = cpu->tlb->write[lin >> PAGE_SHIFT];				\
	if (likely((uint64_t)off + sizeof(v) <= s->write_top && e != 0			\
	    && (lin & PAGE_MASK) <= PAGE_BYTES - sizeof(v)))				\
		memcpy((void *)(e + lin), &v, sizeof(v));				\
	else										\
		mem_write##bits##_slow(cpu, seg, off, v);				\
}											\
static inline void sys_write##bits(struct vcpu *cpu, lin_t lin, uint##bits##_t v)	\
{											\
	mmu_write(cpu, lin, &v, sizeof(v), false);					\
}

MMU_DEFINE_READ(8)
MMU_DEFINE_READ(16)
MMU_DEFINE_READ(32)
MMU_DEFINE_READ(64)
MMU_DEFINE_WRITE(8)
MMU_DEFINE_WRITE(16)
MMU_DEFINE_WRITE(32)
MMU_DEFINE_WRITE(64)

/*
 * For read-modify-write: the linear address after the write check (segment and page), so that the
 * later write cannot fault. Every RMW instruction reads through this.
 */
static inline lin_t mem_rmw(struct vcpu *cpu, unsigned seg, uint32_t off, unsigned size)
{
	const struct segment *s = &cpu->seg[seg];
	lin_t lin = likely((uint64_t)off + size <= s->write_top) ? s->base + off
	    : segment_check(cpu, seg, off, size, true);
	if (unlikely(cpu->tlb->write[lin >> PAGE_SHIFT] == 0 || (lin & PAGE_MASK) > PAGE_BYTES - size))
		mmu_probe(cpu, lin, size, ACCESS_WRITE, cpu->cpl == 3);
	return lin;
}

#endif
