/*
 * Processes of our own that do one thing for the monitor: the broker, the network. One end of a socketpair is all they share with it.
 */
#ifndef PLEX86_HOST_HELPER_H
#define PLEX86_HOST_HELPER_H

/*
 * First in the process, just forked: nothing of the monitor's stays open but fd, whose new number is returned (-1: it could not be kept).
 * The process ends by itself when nobody is at fd's other end; one that hangs is killed when the monitor ends.
 */
int helper_begin(int fd, const char *name);

#endif
