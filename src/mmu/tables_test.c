#include "cpu/machine.h"
#include "mmu/walk.h"

struct seen {
	unsigned n;
	struct mapping first, last;
};

static void see(void *arg, const struct mapping *m)
{
	struct seen *s = arg;

	if (s->n++ == 0)
		s->first = *m;
	s->last = *m;
}

static struct seen look(struct machine *m)
{
	struct seen s = { 0 };

	mmu_each_mapping(&m->cpu, see, &s);
	return s;
}

TEST(every_page_is_listed_once_with_the_rights_of_all_levels)
{
	struct machine *m = machine_new();

	machine_paging(m);				/* 512 pages, for everyone */
	poke32(m, PAGE_TAB + 511 * 4, 0x1FF000 | 1 | MAPPING_D | MAPPING_G);
	struct seen s = look(m);
	CHECK_EQ(s.n, 512);
	CHECK_EQ(s.first.lin, 0);
	CHECK_EQ(s.first.bytes, PAGE_BYTES);
	CHECK_EQ(s.first.flags & (MAPPING_W | MAPPING_U), MAPPING_W | MAPPING_U);
	CHECK_EQ(s.last.lin, 0x1FF000);
	CHECK_EQ(s.last.gpa, 0x1FF000);
	CHECK_EQ(s.last.flags & (MAPPING_W | MAPPING_U | MAPPING_D | MAPPING_G), MAPPING_D | MAPPING_G);
	poke32(m, PAGE_DIR, PAGE_TAB | 1);		/* the directory takes W and U away from all */
	CHECK_EQ(look(m).first.flags & (MAPPING_W | MAPPING_U), 0);
	CHECK_EQ(peek32(m, PAGE_TAB) & MAPPING_A, 0);	/* nothing is touched */
	machine_free(m);
}

TEST(large_pages_are_one_mapping)
{
	struct machine *m = machine_new();

	machine_paging(m);
	cpu_set_cr4(&m->cpu, CR4_PSE);
	poke32(m, PAGE_DIR, 0);
	poke32(m, PAGE_DIR + 1023 * 4, 0x00400000 | 1 | MAPPING_PS);
	struct seen s = look(m);
	CHECK_EQ(s.n, 1);
	CHECK_EQ(s.last.lin, 0xFFC00000u);
	CHECK_EQ(s.last.bytes, 4u << 20);
	CHECK_EQ(s.last.gpa, 0x400000);
	machine_free(m);
}

TEST(pae_tables_are_walked_by_the_pdptes_that_were_loaded)
{
	struct machine *m = machine_new();

	poke32(m, PAGE_DIR, PAGE_TAB | 1);				/* first GiB */
	poke32(m, PAGE_DIR + 3 * 8, PAGE_TAB | 1);			/* and the last, by the same directory */
	poke32(m, PAGE_TAB, 0x00000000 | 3 | MAPPING_PS);
	poke32(m, PAGE_TAB + 8, (PAGE_TAB + 0x1000) | 7);
	poke32(m, PAGE_TAB + 0x1000 + 511 * 8, 0x123000 | 5);
	poke32(m, PAGE_TAB + 0x1000 + 511 * 8 + 4, 0x80000000);		/* NX */
	cpu_set_cr4(&m->cpu, CR4_PAE);
	cpu_set_efer(&m->cpu, EFER_NXE);
	cpu_set_cr3(&m->cpu, PAGE_DIR);
	cpu_set_cr0(&m->cpu, m->cpu.cr0 | CR0_PG);
	struct seen s = look(m);
	CHECK_EQ(s.n, 4);
	CHECK_EQ(s.first.bytes, 2u << 20);
	CHECK_EQ(s.last.lin, 0xC03FF000u);
	CHECK_EQ(s.last.gpa, 0x123000);
	CHECK(s.last.flags & MAPPING_NX);
	CHECK_EQ(s.last.flags & (MAPPING_W | MAPPING_U), MAPPING_U);
	machine_free(m);
}
