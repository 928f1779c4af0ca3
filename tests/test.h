/*
 * Unit tests: TEST(name) { CHECK_EQ(got, want); }  The name is a sentence, its source the document.
 * Every file of tests is linked with test_main.c; tests register themselves and run under cmocka.
 */
#ifndef PLEX86_TESTS_TEST_H
#define PLEX86_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void test_register(const char *name, CMUnitTestFunction fn);

#define TEST(name)								\
	static void name(void);							\
	static void name##_cmocka(void **state) { (void)state; name(); }	\
	__attribute__((constructor)) static void name##_register(void)		\
	{ test_register(#name, name##_cmocka); }				\
	static void name(void)

#define CHECK(cond)		assert_true(cond)
#define CHECK_EQ(got, want)	assert_int_equal(got, want)
#define CHECK_STR(got, want)	assert_string_equal(got, want)
#define SKIP()			skip()

#endif
