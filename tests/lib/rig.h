/* For the tests of the library: programs as 32-bit assembly, machines that hold one. */
#ifndef PLEX86_TESTS_LIB_RIG_H
#define PLEX86_TESTS_LIB_RIG_H

#include <plex86.h>

#include "tests/test.h"

enum { CODE = 0x1000, STACK = 0x9000, MEMORY = 0x100000 };

/* program_name, and its size, sizeof_name(). */
#define PROGRAM(name, text)									\
	__asm__(".pushsection .rodata\n.code32\nprogram_" #name ": " text			\
		"\nprogram_" #name "_end:\n.code64\n.popsection");				\
	extern const uint8_t program_##name[] __attribute__((visibility("hidden")));		\
	extern const uint8_t program_##name##_end[] __attribute__((visibility("hidden")));	\
	__attribute__((unused)) static size_t sizeof_##name(void)				\
	{ return (size_t)(program_##name##_end - program_##name); }

/* A machine in flat mode with MEMORY bytes from 0, the program at CODE, EIP there, ESP at STACK. */
#define machine(engine, name) machine_with(engine, program_##name, sizeof_##name())

static inline plex86 *machine_with(enum plex86_engine engine, const uint8_t *program, size_t bytes)
{
	struct plex86_config config = PLEX86_SIZED(plex86_config);
	char why[100] = "";
	plex86 *m;

	config.engine = engine;
	config.flags = engine == PLEX86_SCAN ? PLEX86_VERIFY : 0;
	if (plex86_create(&m, &config, why, sizeof(why)) != PLEX86_OK)
		fail_msg("no machine: %s", why);
	CHECK_EQ(plex86_map(m, 0, MEMORY, 0, NULL), 0);
	CHECK_EQ(plex86_write(m, CODE, program, bytes), 0);
	CHECK_EQ(plex86_set(m, PLEX86_EIP, CODE), 0);
	CHECK_EQ(plex86_set(m, PLEX86_ESP, STACK), 0);
	return m;
}

static inline uint32_t reg(plex86 *m, int r)
{
	uint32_t v = 0;

	CHECK_EQ(plex86_get(m, r, &v), 0);
	return v;
}

/* Paging on: the first 4 MiB as they are, and one page at 80000000h, which is physical 40000h. */
static inline void identity_pages(plex86 *m, uint32_t directory)
{
	for (uint32_t i = 0; i < 1024; i++) {
		uint32_t pte = i << 12 | 7;
		CHECK_EQ(plex86_write(m, directory + 0x1000 + i * 4, &pte, 4), 0);
	}
	uint32_t low = (directory + 0x1000) | 7, high = (directory + 0x2000) | 7, page = 0x40000 | 7;
	CHECK_EQ(plex86_write(m, directory, &low, 4), 0);
	CHECK_EQ(plex86_write(m, directory + 512 * 4, &high, 4), 0);
	CHECK_EQ(plex86_write(m, directory + 0x2000, &page, 4), 0);
	CHECK_EQ(plex86_set(m, PLEX86_CR3, directory), 0);
	CHECK_EQ(plex86_set(m, PLEX86_CR0, reg(m, PLEX86_CR0) | 0x80010000), 0);
}

/* A test for each engine. */
#define ENGINES(name)						\
	static void name##_by(enum plex86_engine engine);	\
	TEST(name) { name##_by(PLEX86_EMULATE); name##_by(PLEX86_SCAN); }	\
	static void name##_by(enum plex86_engine engine)

#endif
