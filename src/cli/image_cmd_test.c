#include "cli/image_cmd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

static int run(char *out, size_t len, const char *words)
{
	char text[256], *argv[16], *save = NULL;
	int argc = 0;
	FILE *f = fmemopen(out, len, "w");

	snprintf(text, sizeof(text), "image %s", words);
	for (char *w = strtok_r(text, " ", &save); w != NULL && argc < 15; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	int status = image_main(argc, argv, f);
	fclose(f);
	return status;
}

TEST(image_command_creates_describes_and_converts)
{
	char dir[] = "/tmp/plex86-cmd-XXXXXX", here[512], out[1024] = "";
	struct stat st;

	assert_non_null(getcwd(here, sizeof(here)));
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	CHECK_EQ(run(out, sizeof(out), "create a.qcow2 10M"), 0);
	CHECK_EQ(run(out, sizeof(out), "create -b a.qcow2 b.img"), 0);
	CHECK_EQ(run(out, sizeof(out), "info b.img"), 0);
	CHECK_STR(out, "image: b.img\nformat: qcow2\nsize: 10 MiB (10485760 bytes)\n"
	    "backing file: a.qcow2\nformat: qcow2\nsize: 10 MiB (10485760 bytes)\n");
	CHECK_EQ(run(out, sizeof(out), "convert b.img c.raw"), 0);
	CHECK_EQ(stat("c.raw", &st), 0);
	CHECK_EQ(st.st_size, 10 << 20);
	CHECK_EQ(run(out, sizeof(out), "create -f qcow2 -o cluster_size=4k d 1M"), 0);
	CHECK_EQ(run(out, sizeof(out), "create -q -f qcow2 -o backing_file=a.qcow2,backing_fmt=qcow2,compat=1.1 e"), 0);
	CHECK_EQ(run(out, sizeof(out), "info e"), 0);
	CHECK(strstr(out, "backing file: a.qcow2") != NULL);
	CHECK_EQ(run(out, sizeof(out), "create -f qcow2 -o preallocation=full g 1M"), 1);
	CHECK(access("g", F_OK) != 0);
	unlink("e");
	unlink("a.qcow2");
	unlink("b.img");
	unlink("c.raw");
	unlink("d");
	assert_int_equal(chdir(here), 0);
	rmdir(dir);
}

TEST(image_command_refuses_what_it_cannot_do_with_status_1)
{
	char out[64];

	CHECK_EQ(run(out, sizeof(out), "create /nonexistent/x 1M"), 1);
	CHECK_EQ(run(out, sizeof(out), "create x.raw 1Q"), 1);
	CHECK_EQ(run(out, sizeof(out), "create x.raw"), 1);
	CHECK_EQ(run(out, sizeof(out), "info /nonexistent/x"), 1);
	CHECK_EQ(run(out, sizeof(out), "shrink x"), 1);
	CHECK_EQ(run(out, sizeof(out), ""), 1);
}
