#include <string.h>

#include "cli/options.h"
#include "tests/test.h"

static struct options o;
static struct error err;

static int parse(const char *first, ...)
{
	char *argv[16] = { (char *)"plex86" };
	int argc = 1;
	va_list ap;

	va_start(ap, first);
	for (const char *a = first; a; a = va_arg(ap, const char *))
		argv[argc++] = (char *)(uintptr_t)a;
	va_end(ap);
	err = (struct error){ 0 };
	options_free(&o);
	return options_parse(&o, argc, argv, &err);
}

TEST(sizes_have_suffixes_and_a_default_unit)
{
	uint64_t n;

	CHECK(parse_size("512", 1 << 20, &n) && n == 512ull << 20);
	CHECK(parse_size("64K", 1 << 20, &n) && n == 64 << 10);
	CHECK(parse_size("3g", 1 << 20, &n) && n == 3ull << 30);
	CHECK(!parse_size("", 1, &n));
	CHECK(!parse_size("-1", 1, &n));
	CHECK(!parse_size("12Q", 1, &n));
	CHECK(!parse_size("1MM", 1, &n));
	CHECK(!parse_size("99999999999999999999", 1, &n));
	CHECK(!parse_size("99999999999T", 1, &n));
}

TEST(one_dash_or_two_and_a_value_after_a_space_or_an_equals_sign)
{
	CHECK_EQ(parse("run", "-kernel", "k", "--append=a b", "--memory", "64", NULL), 0);
	CHECK_STR(o.vm.boot.kernel, "k");
	CHECK_STR(o.vm.boot.append, "a b");
	CHECK_EQ(o.vm.ram_bytes, 64 << 20);
	CHECK_EQ(parse("-m", "1G", "k", NULL), 0);
	CHECK_STR(o.vm.boot.kernel, "k");
	CHECK_EQ(o.vm.ram_bytes, 1 << 30);
	CHECK_EQ(o.vm.serial[0].kind, CHARDEV_STDIO);
}

TEST(unknown_option_is_named_with_its_nearest_match)
{
	CHECK(parse("-kernal", "k", NULL) < 0);
	CHECK(strstr(err.text, "'-kernal'") != NULL);
	CHECK(strstr(err.text, "'-kernel'") != NULL);
	CHECK(parse("--no-rebot", NULL) < 0);
	CHECK(strstr(err.text, "'-no-reboot'") != NULL);
	CHECK(parse("-zzzzzzzzz", NULL) < 0);
	CHECK(strstr(err.text, "did you mean") == NULL);
}

TEST(impossible_memory_sizes_are_refused)
{
	CHECK(parse("-m", "0", "k", NULL) < 0);
	CHECK(strstr(err.text, "at least") != NULL);
	CHECK(parse("-m", "100T", "k", NULL) < 0);
	CHECK(strstr(err.text, "at most") != NULL);
	CHECK(parse("-m", "lots", "k", NULL) < 0);
	CHECK_EQ(parse("-m", "3G", "k", NULL), 0);
}

TEST(options_that_contradict_or_lack_something_are_refused)
{
	CHECK(parse(NULL, NULL) < 0);
	CHECK(strstr(err.text, "nothing to boot") != NULL);
	CHECK(parse("-kernel", NULL) < 0);
	CHECK(parse("--flat", "0x1000", NULL) < 0);
	CHECK(parse("--flat", "0x1000", "p", "-kernel", "k", NULL) < 0);
	CHECK(parse("--flat", "here", "p", NULL) < 0);
	CHECK(parse("a", "b", NULL) < 0);
	CHECK(parse("k", "-serial", "stdio", "-serial", "stdio", NULL) < 0);
	CHECK(parse("k", "-serial", "tcp:1", NULL) < 0);
	CHECK(parse("k", "-device", "e1000", NULL) < 0);
	CHECK(parse("k", "--no-reboot=yes", NULL) < 0);
}

TEST(debug_exit_device_takes_qemus_properties)
{
	CHECK_EQ(parse("k", "-device", "isa-debug-exit,iobase=0xf4,iosize=4", NULL), 0);
	CHECK_EQ(o.vm.debug_exit_port, 0xF4);
	CHECK_EQ(o.vm.debug_exit_size, 4);
	CHECK(parse("k", "-device", "isa-debug-exit,iobase=0x10000", NULL) < 0);
	CHECK(parse("k", "-device", "isa-debug-exit,colour=red", NULL) < 0);
}

TEST(serial_ports_are_taken_in_order)
{
	CHECK_EQ(parse("k", "-serial", "null", "-serial", "file:log", "-serial", "stdio", NULL), 0);
	CHECK_EQ(o.vm.serial[0].kind, CHARDEV_NULL);
	CHECK_EQ(o.vm.serial[1].kind, CHARDEV_FILE);
	CHECK_STR(o.vm.serial[1].path, "log");
	CHECK_EQ(o.vm.serial[2].kind, CHARDEV_STDIO);
}
