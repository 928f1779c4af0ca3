/* For tests of images: a folder of their own, which goes when the test does. */
#ifndef PLEX86_IMAGE_TEST_FOLDER_H
#define PLEX86_IMAGE_TEST_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

static char dir[64];

__attribute__((destructor)) static void remove_dir(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (dir[0] != '\0' && system(cmd) != 0)
		fprintf(stderr, "%s is left behind\n", dir);
}

/* Of the file of that name there. Eight of these are valid at a time. */
static const char *path_of(const char *name)
{
	static char path[8][128];
	static unsigned turn;
	char *p = path[turn++ & 7];

	if (dir[0] == '\0') {
		strcpy(dir, "/tmp/plex86-image-XXXXXX");
		assert_non_null(mkdtemp(dir));
	}
	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

#endif
