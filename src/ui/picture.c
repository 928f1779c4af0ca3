/*
 * PNG through libpng, and PPM (P6), which everything reads.
 */
#include "ui/picture.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/broker.h"

static void row_bytes(const struct vga_picture *picture, unsigned y, uint8_t *out)
{
	const uint32_t *in = picture->pixel + (size_t)y * picture->width;

	for (unsigned x = 0; x < picture->width; x++) {
		*out++ = (uint8_t)(in[x] >> 16);
		*out++ = (uint8_t)(in[x] >> 8);
		*out++ = (uint8_t)in[x];
	}
}

static bool write_png(const struct vga_picture *picture, FILE *f, uint8_t *row)
{
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png ? png_create_info_struct(png) : NULL;

	if (info == NULL || setjmp(png_jmpbuf(png))) {	/* libpng's errors arrive here */
		png_destroy_write_struct(&png, &info);
		return false;
	}
	png_init_io(png, f);
	png_set_IHDR(png, info, picture->width, picture->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
	    PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_set_compression_level(png, 3);
	/* By this the broker knows a picture of ours, which the next one may take the place of. */
	png_text made_by = { .compression = PNG_TEXT_COMPRESSION_NONE, .key = (char *)(uintptr_t)"Software", .text = (char *)(uintptr_t)"plex86" };
	png_set_text(png, info, &made_by, 1);
	png_write_info(png, info);
	for (unsigned y = 0; y < picture->height; y++) {
		row_bytes(picture, y, row);
		png_write_row(png, row);
	}
	png_write_end(png, NULL);
	png_destroy_write_struct(&png, &info);
	return true;
}

static bool write_ppm(const struct vga_picture *picture, FILE *f, uint8_t *row)
{
	fprintf(f, "P6\n%u %u\n255\n", picture->width, picture->height);
	for (unsigned y = 0; y < picture->height; y++) {
		row_bytes(picture, y, row);
		fwrite(row, 3, picture->width, f);
	}
	return true;
}

enum picture_format picture_format_of(const char *path)
{
	size_t len = strlen(path);

	return len >= 4 && strcasecmp(path + len - 4, ".png") == 0 ? PICTURE_PNG : PICTURE_PPM;
}

int picture_write(const struct vga_picture *picture, const char *path, enum picture_format format, struct error *err)
{
	FILE *f = host_fopen(path, "w");
	uint8_t *row = malloc(3 * (size_t)picture->width);

	if (f == NULL || row == NULL) {
		int e = f == NULL ? errno : ENOMEM;

		if (f)
			fclose(f);
		free(row);
		return error_set(err, -e, "cannot write '%s': %s%s", path, strerror(e), e != EEXIST ? "" :
		    ", and is no screendump: remove it, or let plex86 write in its folder (--sandbox=on,path=FOLDER)");
	}
	errno = 0;
	bool ok = format == PICTURE_PNG ? write_png(picture, f, row) : write_ppm(picture, f, row);
	ok = !ferror(f) && ok;
	ok = fclose(f) == 0 && ok;
	int e = errno ? errno : EIO;
	free(row);
	if (ok)
		return 0;
	host_unlink(path);
	return error_set(err, -e, "cannot write '%s': %s", path, strerror(e));
}
