/*
 * The screen over VNC, and as a web page: libvncserver speaks RFB, also through websockets, and http.c hands out
 * noVNC's files.						[RFC 6143]
 *
 * One thread does everything: it lets the library work for a moment, then asks the machine for what
 * changed. Without a client the machine is not asked.
 * The web page's server listens on this host only and wants a password, made for each run and part of the page's
 * URL: else any page open in the user's browser could connect to it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <rfb/rfb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/kick.h"
#include "ui/pages.h"
#include "ui/keysym.h"
#include "ui/ui.h"

#define TILE 32u
#define CLIENT_WAIT_MS 2000		/* the library waits for the rest of a message, and everybody with it */
#define PASSWORD_MAX 8			/* what VNC's authentication uses of it */

struct vnc {
	struct ui *ui;
	rfbScreenInfoPtr screen;
	pthread_t thread;
	struct vga_picture picture;
	uint32_t *shown;		/* what the library sends from: width by height of picture */
	unsigned width, height;
	char password[PASSWORD_MAX + 1];
	char *passwords[2];
	char title[80];
	struct pages pages;		/* web */
	bool serves_page;
	unsigned clients;
	int x, y;			/* the pointer, as last told */
	bool pointer_known;
};

/* --- what clients do --- */

static void on_key(rfbBool down, rfbKeySym sym, rfbClientPtr cl)
{
	struct vnc *v = cl->screen->screenData;
	enum key key = key_by_keysym(sym);

	if (key != KEY_NONE)
		v->ui->machine.key(v->ui->machine.arg, key, down);
}

/* RFB says where the pointer is; the guest's mouse wants to hear how it moved. */
static void on_pointer(int mask, int x, int y, rfbClientPtr cl)
{
	struct vnc *v = cl->screen->screenData;
	unsigned buttons = (mask & 1) | (mask & 4) >> 1 | (mask & 2) << 1;
	int dz = mask & 8 ? -1 : mask & 16 ? 1 : 0;

	if (v->pointer_known)
		v->ui->machine.mouse(v->ui->machine.arg, x - v->x, y - v->y, dz, buttons);
	v->x = x;
	v->y = y;
	v->pointer_known = true;
}

static void on_client_gone(rfbClientPtr cl)
{
	struct vnc *v = cl->screen->screenData;

	v->clients--;
	free(cl->wsctx);		/* a websocket's buffers: the library (0.9.14) forgets them */
	cl->wsctx = NULL;
}

static enum rfbNewClientAction on_client(rfbClientPtr cl)
{
	struct vnc *v = cl->screen->screenData;

	v->clients++;
	v->pointer_known = false;
	cl->clientGoneHook = on_client_gone;
	return RFB_CLIENT_ACCEPT;
}

/* --- pictures --- */

/* Pixels as struct vga_picture has them. */
static void use_our_colors(rfbScreenInfoPtr s)
{
	s->serverFormat.redShift = 16;
	s->serverFormat.greenShift = 8;
	s->serverFormat.blueShift = 0;
}

static bool resize(struct vnc *v)
{
	const struct vga_picture *pic = &v->picture;
	uint32_t *fresh = calloc((size_t)pic->width * pic->height, sizeof(*fresh));

	if (fresh == NULL)
		return false;
	memcpy(fresh, pic->pixel, (size_t)pic->width * pic->height * sizeof(*fresh));
	rfbNewFramebuffer(v->screen, (char *)fresh, (int)pic->width, (int)pic->height, 8, 3, 4);
	use_our_colors(v->screen);
	/* The clients' translations were chosen for the library's own order of colours. */
	rfbClientIteratorPtr it = rfbGetClientIterator(v->screen);
	for (rfbClientPtr cl; (cl = rfbClientIteratorNext(it)); )
		v->screen->setTranslateFunction(cl);
	rfbReleaseClientIterator(it);
	free(v->shown);
	v->shown = fresh;
	v->width = pic->width;
	v->height = pic->height;
	return true;
}

/* Tiles that differ from what clients have been told. */
static void update_rows(struct vnc *v, unsigned y0, unsigned y1)
{
	const struct vga_picture *pic = &v->picture;

	for (unsigned x = 0; x < pic->width; x += TILE) {
		unsigned w = MIN(TILE, pic->width - x);
		bool differs = false;

		for (unsigned y = y0; y < y1; y++) {
			size_t at = (size_t)y * pic->width + x;

			if (memcmp(v->shown + at, pic->pixel + at, w * 4) != 0) {
				memcpy(v->shown + at, pic->pixel + at, w * 4);
				differs = true;
			}
		}
		if (differs)
			rfbMarkRectAsModified(v->screen, (int)x, (int)y0, (int)(x + w), (int)y1);
	}
}

static bool refresh(struct vnc *v)
{
	struct vga_picture *pic = &v->picture;

	if (!v->ui->machine.refresh(v->ui->machine.arg, v->ui->view))
		return false;
	if (!vga_draw(v->ui->view, pic))
		return true;
	if (pic->width != v->width || pic->height != v->height)
		return resize(v);
	for (unsigned y = pic->first / TILE * TILE; y < pic->last; y += TILE)
		update_rows(v, y, MIN(y + TILE, pic->height));
	return true;
}

static void *vnc_thread(void *arg)
{
	struct vnc *v = arg;
	ns_t last = 0;

	while (!__atomic_load_n(&v->ui->quit, __ATOMIC_ACQUIRE)) {
		bool busy = v->clients > 0;

		rfbProcessEvents(v->screen, busy ? 10000 : 100000);
		if (!busy || host_clock_ns() - last < UI_PERIOD_MS * 1000000u)
			continue;
		last = host_clock_ns();
		if (!refresh(v))
			break;
	}
	return NULL;
}

/* --- set-up --- */

static void no_log(const char *format, ...)
{
}

static int read_password(struct vnc *v, const char *path, struct error *err)
{
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return error_set(err, -errno, "password file '%s': %s", path, strerror(errno));
	char *got = fgets(v->password, sizeof(v->password), f);
	fclose(f);
	v->password[strcspn(v->password, "\r\n")] = '\0';
	return got && v->password[0] ? 0 : error_set(err, -EINVAL, "password file '%s': is empty", path);
}

static int make_password(struct vnc *v, struct error *err)
{
	/* those that need no escape in a URL, and look like no other */
	static const char letters[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
	uint8_t r[PASSWORD_MAX];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		return error_set(err, -EIO, "no random numbers for a password");
	for (unsigned i = 0; i < PASSWORD_MAX; i++)
		v->password[i] = letters[r[i] % (sizeof(letters) - 1)];
	return 0;
}

static int set_address(struct vnc *v, struct error *err)
{
	const struct ui_config *cfg = &v->ui->cfg;
	struct in_addr addr = { htonl(INADDR_LOOPBACK) };

	if (cfg->host[0] && strcmp(cfg->host, "localhost") != 0 && inet_pton(AF_INET, cfg->host, &addr) != 1)
		return error_set(err, -EINVAL, "'%s': not an address (as 127.0.0.1)", cfg->host);
	if ((ntohl(addr.s_addr) >> 24) != 127 && (v->password[0] == '\0' || cfg->kind == UI_WEB))
		return error_set(err, -EINVAL, "%s can be reached by others: %s", cfg->host,
		    cfg->kind == UI_WEB ? "the web display is for this host only (use ssh -L)" : "give a password-file=FILE");
	v->screen->listenInterface = addr.s_addr;
	return 0;
}

static const char *novnc_dir(void)
{
	static const char *const places[] = { "/usr/share/novnc", "/usr/local/share/novnc" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		char page[64];

		snprintf(page, sizeof(page), "%s/vnc_lite.html", places[i]);
		if (access(page, R_OK) == 0)
			return places[i];
	}
	return NULL;
}

static int bound(int fd)
{
	return fd >= 0;
}

/* Two ports: the page's, and the one its websocket goes to. */
static int listen_web(struct vnc *v, struct error *err)
{
	unsigned first = v->ui->cfg.port ? v->ui->cfg.port : 5800, last = v->ui->cfg.port ? first : 5899;
	const char *dir = novnc_dir();

	if (dir == NULL)
		return error_set(err, -ENOENT, "the web display needs noVNC: apt-get install novnc");
	for (unsigned port = first; port <= last; port++) {
		int page = rfbListenOnTCPPort((int)port, v->screen->listenInterface);
		int socket = bound(page) ? rfbListenOnTCPPort((int)port + 100, v->screen->listenInterface) : -1;

		if (bound(socket))
			close(socket);
		if (!bound(socket)) {
			if (bound(page))
				close(page);
			continue;
		}
		v->screen->port = (int)port + 100;
		rfbInitServer(v->screen);
		if (!bound(v->screen->listenSock)) {
			close(page);
			break;
		}
		int rc = pages_open(&v->pages, page, dir);
		if (rc < 0) {
			close(page);
			return error_set(err, rc, "cannot serve the web display: %s", strerror(-rc));
		}
		v->serves_page = true;
		fprintf(stderr, "plex86: the screen is at http://127.0.0.1:%u/vnc_lite.html?host=127.0.0.1&port=%u&path=&scale=true&password=%s\n",
		    port, port + 100, v->password);
		return 0;
	}
	return error_set(err, -EADDRINUSE, "web display: no free port from %u on", first);
}

static int listen_vnc(struct vnc *v, struct error *err)
{
	v->screen->port = (int)v->ui->cfg.port;
	rfbInitServer(v->screen);
	if (!bound(v->screen->listenSock))
		return error_set(err, -EADDRINUSE, "VNC: cannot listen at port %u: in use?", v->ui->cfg.port);
	return 0;
}

static int set_up(struct vnc *v, struct error *err)
{
	struct ui *ui = v->ui;
	int rc = 0;

	if (ui->cfg.password_file)
		rc = read_password(v, ui->cfg.password_file, err);
	else if (ui->cfg.kind == UI_WEB)
		rc = make_password(v, err);
	if (rc < 0)
		return rc;
	v->screen = rfbGetScreen(NULL, NULL, 720, 400, 8, 3, 4);
	v->shown = calloc(720 * 400, sizeof(*v->shown));
	if (v->screen == NULL || v->shown == NULL)
		return error_set(err, -ENOMEM, "no memory for the display");
	v->width = 720;
	v->height = 400;
	rfbScreenInfoPtr s = v->screen;
	s->frameBuffer = (char *)v->shown;
	use_our_colors(s);
	snprintf(v->title, sizeof(v->title), "%s%splex86", ui->machine.name ? ui->machine.name : "", ui->machine.name ? " - " : "");
	s->desktopName = v->title;
	s->screenData = v;
	s->alwaysShared = TRUE;
	s->cursor = NULL;
	s->kbdAddEvent = on_key;
	s->ptrAddEvent = on_pointer;
	s->newClientHook = on_client;
	s->deferUpdateTime = 5;
	s->ipv6port = 0;
	if (v->password[0]) {
		v->passwords[0] = v->password;
		s->authPasswdData = v->passwords;
		s->passwordCheck = rfbCheckPasswordByList;
	}
	rc = set_address(v, err);
	if (rc == 0)
		rc = ui->cfg.kind == UI_WEB ? listen_web(v, err) : listen_vnc(v, err);
	return rc;
}

static void vnc_free(struct vnc *v)
{
	if (v->serves_page)
		pages_close(&v->pages);
	if (v->screen) {
		rfbShutdownServer(v->screen, TRUE);
		v->screen->frameBuffer = NULL;
		rfbScreenCleanup(v->screen);
	}
	vga_picture_free(&v->picture);
	free(v->shown);
	free(v);
}

/*
 * Where the library hashes by libgcrypt it leaves it to the first client to set that up, which opens files and
 * complains to syslog. A confined monitor can do neither: so now.
 */
static void prepare_crypto(void)
{
	const char *(*check_version)(const char *wanted) = NULL;
	void *at = dlsym(RTLD_DEFAULT, "gcry_check_version");

	memcpy(&check_version, &at, sizeof(at));
	if (check_version)
		check_version(NULL);
}

static int vnc_open(struct ui *ui, struct error *err)
{
	struct vnc *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return error_set(err, -ENOMEM, "no memory for the display");
	v->ui = ui;
	ui->own = v;
	rfbLog = no_log;
	rfbErr = no_log;
	prepare_crypto();
	rfbMaxClientWait = CLIENT_WAIT_MS;
	int rc = set_up(v, err);
	if (rc == 0) {
		rc = host_thread_start(&v->thread, vnc_thread, v);
		if (rc < 0)
			error_set(err, rc, "cannot start the display's thread: %s", strerror(-rc));
	}
	if (rc < 0)
		vnc_free(v);
	return rc;
}

static void vnc_close(struct ui *ui)
{
	struct vnc *v = ui->own;

	pthread_join(v->thread, NULL);
	vnc_free(v);
}

const struct ui_ops ui_vnc_ops = { vnc_open, vnc_close };
