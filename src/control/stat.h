/*
 * plex86 stat, top, profile: what running machines do, seen from outside. argv[0] is the command's name; the exit status.
 */
#ifndef PLEX86_CONTROL_STAT_H
#define PLEX86_CONTROL_STAT_H

int stat_main(int argc, char **argv);
int top_main(int argc, char **argv);
int profile_main(int argc, char **argv);

#endif
