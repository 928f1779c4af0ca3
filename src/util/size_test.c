#include "util/size.h"

#include "tests/test.h"

TEST(sizes_have_suffixes_fractions_and_a_default_unit)
{
	uint64_t n;

	CHECK(size_parse("512", 1 << 20, &n) && n == 512ull << 20);
	CHECK(size_parse("64K", 1 << 20, &n) && n == 64 << 10);
	CHECK(size_parse("3g", 1 << 20, &n) && n == 3ull << 30);
	CHECK(size_parse("1.5k", 1, &n) && n == 1536);
	CHECK(size_parse("0.25", 1 << 20, &n) && n == 256 << 10);
	CHECK(size_parse("100", 1, &n) && n == 100);
	CHECK(size_parse("010", 1, &n) && n == 10);
	CHECK(size_parse("0x1000", 1, &n) && n == 4096);
	CHECK(size_parse("1048575.5E", 1, &n) == false);
	for (const char *const *bad = (const char *const[]){ "", "-1", "+1", " 1", "12Q", "1X", "1MM", "1GB", "nan", ".", "1..5", "99999E",
	    "99999999999999999999", "99999999999T", "9E", NULL }; *bad; bad++)
		CHECK(!size_parse(*bad, 1, &n));
}
