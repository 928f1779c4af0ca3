/* Runs every TEST() linked in, in the order of registration; an argument selects by name pattern. */
#include "tests/test.h"

static struct CMUnitTest tests[1024];
static size_t ntests;

void test_register(const char *name, CMUnitTestFunction fn)
{
	if (ntests == sizeof(tests) / sizeof(tests[0]))
		fail_msg("too many tests in one program");
	tests[ntests++] = (struct CMUnitTest){ .name = name, .test_func = fn };
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return _cmocka_run_group_tests(argv[0], tests, ntests, NULL, NULL);
}
