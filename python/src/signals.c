/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals that end a wait. Python runs its handlers on the main thread, between
 * two instructions of Python; in the middle of a call of ours it only notes that
 * a signal came. So while the main thread is in a call, a handler of ours stands
 * before Python's: it raises the token, and calls Python's. The wait ends, and
 * azp_perform lets Python run its handler.
 *
 * Only what has a handler is touched. A child that another thread forks
 * meanwhile inherits ours; that does no harm, since it goes on to the old one.
 */
#include "core.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static const int g_signals[] = {SIGINT, SIGTERM, SIGALRM};
#define SIGNALS ((int)(sizeof g_signals / sizeof *g_signals))

static struct sigaction g_before[SIGNALS];
static bool g_ours[SIGNALS]; /* to be taken back by the outermost call */
static int g_depth;          /* of calls of the main thread: one in another */
static azr_cancel *g_cancel;
static azr_cancel *g_raised;

/* Is this thread the main one? Asked once: 0 is not yet. */
static _Thread_local int t_kind;

/* In a child no call is under way, unless it is the one that forked. */
static void forget_calls(void)
{
    g_depth = 0;
    t_kind = 0; /* whoever forked is the main thread there */
}

int azp_signals_start(void)
{
    if (g_cancel)
        return 0;
    if (azr_cancel_new(&g_cancel) < 0 || azr_cancel_new(&g_raised) < 0 ||
        pthread_atfork(NULL, NULL, forget_calls) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    azr_cancel_request(g_raised);
    return 0;
}

azr_cancel *azp_main_cancel(void)
{
    return g_cancel;
}

azr_cancel *azp_raised_cancel(void)
{
    return g_raised;
}

bool azp_on_main_thread(void)
{
    if (t_kind == 0)
        t_kind = gettid() == getpid() ? 1 : 2;
    return t_kind == 1;
}

azr_cancel *azp_token(void)
{
    return azp_on_main_thread() ? g_cancel : azp_thread_cancel();
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    azr_cancel_request(g_cancel);
    for (int i = 0; i < SIGNALS; i++) {
        if (g_signals[i] != sig)
            continue;
        if (g_before[i].sa_flags & SA_SIGINFO)
            g_before[i].sa_sigaction(sig, info, context);
        else
            g_before[i].sa_handler(sig);
    }
}

static void stand_before(int i)
{
    struct sigaction now;

    g_ours[i] = false;
    if (sigaction(g_signals[i], NULL, &now) < 0)
        return;
    if (now.sa_flags & SA_SIGINFO) {
        if (now.sa_sigaction == on_signal)
            return; /* from before a fork */
    } else if (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN) {
        return;
    }
    g_before[i] = now;
    now.sa_flags |= SA_SIGINFO;
    now.sa_sigaction = on_signal;
    g_ours[i] = sigaction(g_signals[i], &now, NULL) == 0;
}

int azp_signals_enter(void)
{
    if (g_depth++ == 0) {
        for (int i = 0; i < SIGNALS; i++)
            stand_before(i);
    }
    azr_cancel_reset(g_cancel);
    /* what came before the token was reset */
    if (PyErr_CheckSignals() == 0)
        return 0;
    azp_signals_leave();
    return -1;
}

void azp_signals_leave(void)
{
    if (g_depth == 0 || --g_depth > 0)
        return;
    for (int i = 0; i < SIGNALS; i++) {
        if (g_ours[i])
            (void)sigaction(g_signals[i], &g_before[i], NULL);
    }
    /* transactions of this thread, in which others work for it, go by it too */
    azr_cancel_reset(g_cancel);
}
