/* The scenarios of ../README.md with libssh, as a client and as a server. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#define MIB (1 << 20)
#define PATIENCE 55
#define CHUNK 32768
#define MANY 16

static ssh_session session;
static const char *scenario;

#define check(right)                                                                            \
    do {                                                                                        \
        if (!(right)) {                                                                         \
            fprintf(stderr, "line %d: %s: %s\n", __LINE__, #right, ssh_get_error(session));     \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

static bool is(const char *one, const char *other) {
    return one && other && strcmp(one, other) == 0;
}

static char *format(const char *text, ...) {
    char *made;
    va_list values;
    va_start(values, text);
    if (vasprintf(&made, text, values) < 0)
        abort();
    va_end(values);
    return made;
}

static int unbound(int domain) { return socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0); }

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* A socket connected to a port of the loopback interface, or -1. */
static int connect_port(int port) {
    struct sockaddr_in there = loopback(port);
    int fd = unbound(AF_INET);
    if (connect(fd, (struct sockaddr *)&there, sizeof there) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_unix(const char *path) {
    struct sockaddr_un there = {.sun_family = AF_UNIX};
    strncpy(there.sun_path, path, sizeof there.sun_path - 1);
    int fd = unbound(AF_UNIX);
    if (connect(fd, (struct sockaddr *)&there, sizeof there) == 0)
        return fd;
    close(fd);
    return -1;
}

/* A socket that listens on a port of the loopback interface, which it stores; 0 is any. */
static int listen_port(int *port) {
    struct sockaddr_in here = loopback(*port);
    socklen_t size = sizeof here;
    int yes = 1, fd = unbound(AF_INET);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&here, size) || listen(fd, MANY) ||
        getsockname(fd, (struct sockaddr *)&here, &size)) {
        close(fd);
        return -1;
    }
    *port = ntohs(here.sin_port);
    return fd;
}

/* ------------------------------------------------------- what both roles carry */

/* A channel and what it is joined to: a socket, or a command's pipes or terminal. */
struct link {
    ssh_channel channel;
    int to;          /* takes what the channel brings; -1 after its end */
    int from[2];     /* go into the channel, the second as extended data; -1 after their end */
    bool is_socket, said_eof;
    pid_t command;   /* 0: none */
    size_t at, held; /* what `to` did not take yet */
    char bytes[CHUNK];
};
static struct link *links[64];
static ssh_event event;

static struct link *join(ssh_channel channel, int to, int from, int from_error) {
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        if (links[i])
            continue;
        struct link *link = links[i] = calloc(1, sizeof *link);
        *link = (struct link){.channel = channel, .to = to, .from = {from, from_error}};
        link->is_socket = to == from;
        int ours[] = {to, from, from_error};
        for (int j = 0; j < 3; j++)
            if (ours[j] >= 0)
                fcntl(ours[j], F_SETFL, fcntl(ours[j], F_GETFL) | O_NONBLOCK);
        return link;
    }
    abort();
}

static void join_socket(ssh_channel channel, int fd) { join(channel, fd, fd, -1); }

static void end_input(struct link *link) {
    if (link->is_socket)
        shutdown(link->to, SHUT_WR);
    else if (link->to != link->from[0])
        close(link->to);
    link->to = -1;
}

/* Carries what can be carried now; whether that was anything. */
static bool carry(struct link *link) {
    bool moved = false;
    if (link->to >= 0 && link->held == 0) {
        int got = ssh_channel_read_nonblocking(link->channel, link->bytes, CHUNK, 0);
        if (got > 0)
            link->at = 0, link->held = got, moved = true;
        else if (got < 0 || ssh_channel_is_eof(link->channel))
            end_input(link);
    }
    if (link->to >= 0 && link->held > 0) {
        ssize_t put = write(link->to, link->bytes + link->at, link->held);
        if (put > 0)
            link->at += put, link->held -= put, moved = true;
        else if (errno != EAGAIN)
            end_input(link);
    }
    for (int i = 0; i < 2; i++) {
        char bytes[CHUNK];
        size_t room = ssh_channel_window_size(link->channel);
        if (link->from[i] < 0 || room == 0)
            continue;
        ssize_t got = read(link->from[i], bytes, room < CHUNK ? room : CHUNK);
        if (got > 0) {
            if (i == 0)
                ssh_channel_write(link->channel, bytes, got);
            else
                ssh_channel_write_stderr(link->channel, bytes, got);
            moved = true;
        } else if (got == 0 || errno != EAGAIN) {
            if (!link->is_socket)
                close(link->from[i]);
            link->from[i] = -1;
        }
    }
    return moved;
}

/* Says what has ended; whether nothing is left of it. */
static bool conclude(struct link *link, int fd) {
    if (link->from[0] >= 0 || link->from[1] >= 0)
        return false;
    if (link->command) {
        int status;
        if (waitpid(link->command, &status, WNOHANG) == 0)
            return false;
        if (WIFSIGNALED(status))
            ssh_channel_request_send_exit_signal(link->channel, sigabbrev_np(WTERMSIG(status)), 0, "", "");
        else
            ssh_channel_request_send_exit_status(link->channel, WEXITSTATUS(status));
    } else {
        if (!link->said_eof)
            ssh_channel_send_eof(link->channel);
        link->said_eof = true;
        if (link->to >= 0)
            return false;
        close(fd);
    }
    ssh_channel_send_eof(link->channel);
    ssh_channel_close(link->channel);
    return true;
}

/* One round of everything but what the caller does itself. */
static bool turn_links(void) {
    bool moved = false;
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        if (!links[i])
            continue;
        int fd = links[i]->to >= 0 ? links[i]->to : links[i]->from[0];
        moved |= carry(links[i]);
        if (conclude(links[i], fd)) {
            free(links[i]);
            links[i] = NULL;
        }
    }
    return moved;
}

/* ---------------------------------------------------------------- client */

struct buffer {
    char *bytes;
    size_t size;
};

static struct buffer noise(size_t size) {
    struct buffer made = {malloc(size), size};
    for (size_t at = 0; at < size; at += 256)
        check(getrandom(made.bytes + at, size - at < 256 ? size - at : 256, 0) > 0);
    return made;
}

static bool same(struct buffer one, struct buffer other) {
    return one.size == other.size && memcmp(one.bytes, other.bytes, one.size) == 0;
}

static struct buffer text(const char *text) {
    return (struct buffer){(char *)text, strlen(text)};
}

static bool append(struct buffer *to, ssh_channel channel, int is_stderr) {
    char part[CHUNK];
    int got = ssh_channel_read_nonblocking(channel, part, sizeof part, is_stderr);
    if (got <= 0)
        return false;
    to->bytes = realloc(to->bytes, to->size + got);
    memcpy(to->bytes + to->size, part, got);
    to->size += got;
    return true;
}

static bool turn(bool moved) {
    moved |= turn_links();
    if (!moved)
        ssh_event_dopoll(event, 2);
    return moved;
}

/* Sends `input` and its end, takes all that comes, until that has an end, too. */
static void exchange(ssh_channel channel, struct buffer input, struct buffer *out, struct buffer *err) {
    size_t sent = 0;
    bool ended = false, moved;
    *out = *err = (struct buffer){0};
    do {
        moved = false;
        size_t room = ssh_channel_window_size(channel);
        size_t part = input.size - sent < room ? input.size - sent : room;
        if (part > CHUNK)
            part = CHUNK;
        if (part > 0) {
            check(ssh_channel_write(channel, input.bytes + sent, part) == (int)part);
            sent += part, moved = true;
        } else if (sent == input.size && !ended) {
            check(ssh_channel_send_eof(channel) == SSH_OK);
            ended = true;
        }
        moved |= append(out, channel, 0);
        moved |= append(err, channel, 1);
        check(ssh_is_connected(session));
        turn(moved);
    } while (moved || !ended || !ssh_channel_is_eof(channel));
}

static ssh_channel open_session(void) {
    ssh_channel channel = ssh_channel_new(session);
    check(ssh_channel_open_session(channel) == SSH_OK);
    return channel;
}

/* Has a channel that was prepared run a command, which must end with `status`. */
static struct buffer run(ssh_channel channel, const char *command, int status, struct buffer input,
                         struct buffer *err) {
    struct buffer out;
    check(ssh_channel_request_exec(channel, command) == SSH_OK);
    exchange(channel, input, &out, err);
    check(ssh_channel_get_exit_status(channel) == status);
    ssh_channel_close(channel);
    ssh_channel_free(channel);
    return out;
}

static void run_for(ssh_channel channel, const char *command, int status, const char *output) {
    struct buffer err;
    check(same(run(channel, command, status, text(""), &err), text(output)));
}

static void play_stderr(void) {
    struct buffer err, out = run(
        open_session(), "echo out; echo err >&2; head -c 500000 /dev/zero >&2; echo end", 0, text(""), &err);
    check(same(out, text("out\nend\n")));
    char expected[500004] = "err\n";
    check(same(err, (struct buffer){expected, sizeof expected}));
}

static void expect(ssh_channel channel, struct buffer *screen, const char *what) {
    while (!screen->size || !memmem(screen->bytes, screen->size, what, strlen(what))) {
        check(!ssh_channel_is_eof(channel));
        turn(append(screen, channel, 0));
    }
}

static void play_pty(void) {
    ssh_channel channel = open_session();
    check(ssh_channel_request_pty_size(channel, "vt220", 101, 33) == SSH_OK);
    check(ssh_channel_request_exec(channel,
        "exec bash -c 'trap \"echo resized; stty size\" WINCH; tty; echo term=$TERM; stty size; echo ready;"
        "while read -r line; do echo \"[$line]\"; test \"$line\" = end && exit 7; done'") == SSH_OK);
    struct buffer screen = {0};
    const char *first[] = {"/dev/", "term=vt220", "33 101", "ready"};
    const char *then[] = {"resized", "44 122", "[hello]"};
    for (int i = 0; i < 4; i++)
        expect(channel, &screen, first[i]);
    check(ssh_channel_change_pty_size(channel, 122, 44) == SSH_OK);
    check(ssh_channel_write(channel, "hello\r", 6) == 6);
    for (int i = 0; i < 3; i++)
        expect(channel, &screen, then[i]);
    check(ssh_channel_write(channel, "end\r", 4) == 4);
    expect(channel, &screen, "[end]");
    check(ssh_channel_get_exit_status(channel) == 7);
}

static void on_exit_signal(ssh_session of, ssh_channel channel, const char *name, int core,
                           const char *message, const char *language, void *died_of) {
    snprintf(died_of, 16, "%s", name);
}

static void play_signal(void) {
    char died_of[16] = "";
    struct buffer screen = {0};
    struct ssh_channel_callbacks_struct callbacks = {
        .userdata = died_of, .channel_exit_signal_function = on_exit_signal};
    ssh_callbacks_init(&callbacks);
    ssh_channel channel = open_session();
    check(ssh_set_channel_callbacks(channel, &callbacks) == SSH_OK);
    check(ssh_channel_request_exec(channel, "echo up; exec sleep 60") == SSH_OK);
    expect(channel, &screen, "up\n");
    check(ssh_channel_request_send_signal(channel, "TERM") == SSH_OK);
    while (!ssh_channel_is_closed(channel))
        turn(append(&screen, channel, 0));
    check(is(died_of, "TERM"));
    check(ssh_channel_get_exit_status(channel) == -1);
}

static void play_subsystem(void) {
    ssh_channel channel = open_session();
    check(ssh_channel_request_sftp(channel) == SSH_OK);
    check(ssh_channel_write(channel, "\0\0\0\5\1\0\0\0\3", 9) == 9);
    struct buffer answer = {0};
    while (answer.size < 9) {
        check(!ssh_channel_is_eof(channel));
        turn(append(&answer, channel, 0));
    }
    check(memcmp(answer.bytes + 4, "\2\0\0\0\3", 5) == 0);
    ssh_channel_send_eof(channel);
}

static void play_forward(const char *socket) {
    for (int i = 0; i < 3; i++) {
        ssh_channel channel = ssh_channel_new(session);
        check((socket ? ssh_channel_open_forward_unix(channel, socket, "", 0)
                      : ssh_channel_open_forward(channel, "127.0.0.1", atoi(getenv("PEER_ECHO_PORT")),
                                                 "127.0.0.1", 1)) == SSH_OK);
        struct buffer sent = noise(MIB), out, err;
        exchange(channel, sent, &out, &err);
        check(same(out, sent));
        ssh_channel_close(channel);
    }
}

/* In a process of its own: what goes to the port comes back. */
static void echo_at(int port) {
    for (int i = 0; i < 3; i++) {
        int fd = connect_port(port);
        struct buffer sent = noise(MIB), got = {malloc(MIB + 1), 0};
        check(fd >= 0);
        if (fork() == 0) {
            size_t put = 0;
            while (put < sent.size)
                put += write(fd, sent.bytes + put, sent.size - put);
            shutdown(fd, SHUT_WR);
            _exit(0);
        }
        ssize_t part;
        while ((part = read(fd, got.bytes + got.size, MIB + 1 - got.size)) > 0)
            got.size += part;
        check(same(got, sent));
        close(fd);
    }
    _exit(0);
}

static void play_remote_forward(void) {
    int port = 0, status = 0, from;
    check(ssh_channel_listen_forward(session, "127.0.0.1", 0, &port) == SSH_OK);
    pid_t child = fork();
    if (child == 0)
        echo_at(port);
    while (waitpid(child, &status, WNOHANG) == 0) {
        bool busy = turn(false);
        ssh_channel channel = ssh_channel_open_forward_port(session, busy ? 0 : 2, &from, NULL, NULL);
        if (channel) {
            check(from == port);
            join_socket(channel, connect_port(atoi(getenv("PEER_ECHO_PORT"))));
        }
    }
    check(status == 0);
    check(ssh_channel_cancel_forward(session, "127.0.0.1", port) == SSH_OK);
    for (int fd; (fd = connect_port(port)) >= 0;) {
        close(fd);
        turn(false);
    }
}

static ssh_channel on_agent_channel(ssh_session of, void *data) {
    ssh_channel channel = ssh_channel_new(of);
    join_socket(channel, connect_unix(getenv("SSH_AUTH_SOCK")));
    return channel;
}

static void play_agent(void) {
    struct ssh_callbacks_struct callbacks = {.channel_open_request_auth_agent_function = on_agent_channel};
    ssh_callbacks_init(&callbacks);
    check(ssh_set_callbacks(session, &callbacks) == SSH_OK);
    ssh_channel channel = open_session();
    check(ssh_channel_request_auth_agent(channel) == SSH_OK);
    run_for(channel, format("ssh-add -T '%s.pub' && echo signed", getenv("PEER_KEY")), 0, "signed\n");
}

static void log_in(const char *host, const char *port, const char *user) {
    const char *secret = getenv("PEER_PASSWORD");
    bool no = false;
    uint64_t rekey = MIB;
    session = ssh_new();
    ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    ssh_options_set(session, SSH_OPTIONS_HOST, host);
    ssh_options_set(session, SSH_OPTIONS_PORT_STR, port);
    ssh_options_set(session, SSH_OPTIONS_USER, user);
    ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, getenv("PEER_HOST_KEY"));
    ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
    if (is(scenario, "rekey-load"))
        ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &rekey);
    check(ssh_connect(session) == SSH_OK);
    check(ssh_session_is_known_server(session) == SSH_KNOWN_HOSTS_OK);
    if (is(scenario, "password")) {
        check(ssh_userauth_password(session, NULL, secret) == SSH_AUTH_SUCCESS);
    } else if (is(scenario, "keyboard-interactive")) {
        int state;
        while ((state = ssh_userauth_kbdint(session, NULL, NULL)) == SSH_AUTH_INFO)
            for (int i = 0; i < ssh_userauth_kbdint_getnprompts(session); i++) {
                char echoed;
                const char *prompt = ssh_userauth_kbdint_getprompt(session, i, &echoed);
                check(strstr(prompt, "assword:") && !echoed);
                check(ssh_userauth_kbdint_setanswer(session, i, secret) == 0);
            }
        check(state == SSH_AUTH_SUCCESS);
    } else {
        ssh_key key;
        check(ssh_pki_import_privkey_file(getenv("PEER_KEY"), NULL, NULL, NULL, &key) == SSH_OK);
        check(ssh_userauth_publickey(session, NULL, key) == SSH_AUTH_SUCCESS);
    }
    event = ssh_event_new();
    check(ssh_event_add_session(event, session) == SSH_OK);
}

static void client(const char *host, const char *port, const char *user) {
    alarm(PATIENCE);
    log_in(host, port, user);
    if (is(scenario, "exec-status")) {
        int statuses[] = {0, 1, 42, 255};
        for (int i = 0; i < 4; i++)
            run_for(open_session(), format("echo out-%1$d; exit %1$d", statuses[i]), statuses[i],
                    format("out-%d\n", statuses[i]));
        struct buffer err, sent = noise(300001);
        check(same(run(open_session(), "cat; exit 3", 3, sent, &err), sent));
    } else if (is(scenario, "stderr")) {
        play_stderr();
    } else if (is(scenario, "env")) {
        ssh_channel channel = open_session();
        check(ssh_channel_request_env(channel, "LC_INTEROP", "set") == SSH_OK);
        run_for(channel, "echo \"[$LC_INTEROP]\"", 0, "[set]\n");
    } else if (is(scenario, "pty")) {
        play_pty();
    } else if (is(scenario, "signal")) {
        play_signal();
    } else if (is(scenario, "subsystem")) {
        play_subsystem();
    } else if (is(scenario, "local-forward")) {
        play_forward(NULL);
    } else if (is(scenario, "unix-forward")) {
        play_forward(getenv("PEER_ECHO_SOCKET"));
    } else if (is(scenario, "remote-forward")) {
        play_remote_forward();
    } else if (is(scenario, "agent-forward")) {
        play_agent();
    } else if (is(scenario, "rekey-load")) {
        struct buffer err, sent = noise(8 * MIB);
        check(same(run(open_session(), "cat", 0, sent, &err), sent));
    } else {
        run_for(open_session(), "echo logged in", 0, "logged in\n");
    }
    ssh_disconnect(session);
}

/* ---------------------------------------------------------------- server */

/* What a session's channel asked for before its command. */
struct asked {
    char *env[MANY];
    int variables, master, slave;
    struct link *link;
};

/* A socket whose connections become channels; `path` is NULL for the agent's. */
struct listener {
    int fd, port;
    char *address;
} listeners[MANY];
static int listening;

static void listens(int fd, const char *address, int port) {
    if (listening == MANY)
        abort();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    listeners[listening++] = (struct listener){fd, port, address ? strdup(address) : NULL};
}

static bool is_user(const char *user) { return is(user, getenv("PEER_USER")); }

static int on_password(ssh_session of, const char *user, const char *password, void *data) {
    return is_user(user) && is(password, getenv("PEER_PASSWORD")) ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

static int on_key(ssh_session of, const char *user, struct ssh_key_struct *key, char state, void *data) {
    const char *line = getenv("PEER_AUTHORIZED_KEY");
    char *given = NULL;
    bool right = false;
    if (line && ssh_pki_export_pubkey_base64(key, &given) == SSH_OK) {
        char *whole = format("%s %s", ssh_key_type_to_char(ssh_key_type(key)), given);
        if (ssh_key_type(key) == SSH_KEYTYPE_ECDSA_P256)
            whole = format("ecdsa-sha2-nistp256 %s", given);
        right = is(line, whole);
    }
    bool named = state == SSH_PUBLICKEY_STATE_NONE, signs = state == SSH_PUBLICKEY_STATE_VALID;
    return is_user(user) && right && (named || signs) ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

static int on_env(ssh_session of, ssh_channel channel, const char *name, const char *value, void *data) {
    struct asked *asked = data;
    if (asked->variables == MANY)
        return 1;
    asked->env[asked->variables++] = format("%s=%s", name, value);
    return 0;
}

static int on_pty(ssh_session of, ssh_channel channel, const char *type, int width, int height, int x, int y,
                  void *data) {
    struct asked *asked = data;
    struct winsize size = {height, width, x, y};
    if (openpty(&asked->master, &asked->slave, NULL, NULL, &size))
        return 1;
    fcntl(asked->master, F_SETFD, FD_CLOEXEC);
    fcntl(asked->slave, F_SETFD, FD_CLOEXEC);
    return on_env(of, channel, "TERM", type, data);
}

static int on_resize(ssh_session of, ssh_channel channel, int width, int height, int x, int y, void *data) {
    struct asked *asked = data;
    struct winsize size = {height, width, x, y};
    return ioctl(asked->master, TIOCSWINSZ, &size) ? 1 : 0;
}

static int on_exec(ssh_session of, ssh_channel channel, const char *command, void *data) {
    struct asked *asked = data;
    int in[2], out[2], err[2];
    bool terminal = asked->slave >= 0;
    if (!terminal && (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)))
        return 1;
    pid_t child = fork();
    if (child < 0)
        return 1;
    if (child == 0) {
        if (terminal) {
            setsid();
            ioctl(asked->slave, TIOCSCTTY, 0);
        }
        dup2(terminal ? asked->slave : in[0], 0);
        dup2(terminal ? asked->slave : out[1], 1);
        dup2(terminal ? asked->slave : err[1], 2);
        for (int i = 0; i < asked->variables; i++)
            putenv(asked->env[i]);
        signal(SIGPIPE, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    if (terminal) {
        close(asked->slave);
        /* Two numbers, so that the link takes it for no socket. */
        asked->link = join(channel, fcntl(asked->master, F_DUPFD_CLOEXEC, 0), asked->master, -1);
    } else {
        close(in[0]), close(out[1]), close(err[1]);
        asked->link = join(channel, in[1], out[0], err[0]);
    }
    asked->link->command = child;
    return 0;
}

static int on_subsystem(ssh_session of, ssh_channel channel, const char *name, void *data) {
    return is(name, "sftp") ? on_exec(of, channel, "exec /usr/lib/openssh/sftp-server", data) : 1;
}

static void on_signal(ssh_session of, ssh_channel channel, const char *name, void *data) {
    struct asked *asked = data;
    for (int number = 1; number < 32; number++)
        if (is(name, sigabbrev_np(number)))
            kill(asked->link->command, number);
}

static void on_agent(ssh_session of, ssh_channel channel, void *data) {
    struct sockaddr_un here = {.sun_family = AF_UNIX};
    snprintf(here.sun_path, sizeof here.sun_path, "%s/agent-%d", getenv("PEER_TMP"), getpid());
    int fd = unbound(AF_UNIX);
    if (bind(fd, (struct sockaddr *)&here, sizeof here) || listen(fd, MANY))
        abort();
    listens(fd, NULL, 0);
    on_env(of, channel, "SSH_AUTH_SOCK", here.sun_path, data);
}

static ssh_channel on_session(ssh_session of, void *data) {
    struct asked *asked = calloc(1, sizeof *asked);
    asked->master = asked->slave = -1;
    struct ssh_channel_callbacks_struct *callbacks = calloc(1, sizeof *callbacks);
    *callbacks = (struct ssh_channel_callbacks_struct){
        .userdata = asked,
        .channel_env_request_function = on_env,
        .channel_pty_request_function = on_pty,
        .channel_pty_window_change_function = on_resize,
        .channel_exec_request_function = on_exec,
        .channel_subsystem_request_function = on_subsystem,
        .channel_signal_function = on_signal,
        .channel_auth_agent_req_function = on_agent,
    };
    ssh_callbacks_init(callbacks);
    ssh_channel channel = ssh_channel_new(of);
    ssh_set_channel_callbacks(channel, callbacks);
    return channel;
}

/* What has no callback of its own; 1 is a refusal. */
static int on_message(ssh_session of, ssh_message message, void *data) {
    int type = ssh_message_type(message), subtype = ssh_message_subtype(message);
    if (type == SSH_REQUEST_AUTH && subtype == SSH_AUTH_METHOD_INTERACTIVE &&
        is(scenario, "keyboard-interactive")) {
        const char *prompt = "Password: ";
        char echoed = 0;
        static bool known; /* An answer does not name the user. */
        if (!ssh_message_auth_kbdint_is_response(message)) {
            known = is_user(ssh_message_auth_user(message));
            return ssh_message_auth_interactive_request(message, "", "", 1, &prompt, &echoed) != SSH_OK;
        }
        if (ssh_userauth_kbdint_getnanswers(of) != 1 || !known ||
            !is(ssh_userauth_kbdint_getanswer(of, 0), getenv("PEER_PASSWORD")))
            return 1;
        return ssh_message_auth_reply_success(message, 0) != SSH_OK;
    }
    if (type == SSH_REQUEST_CHANNEL_OPEN && subtype == SSH_CHANNEL_DIRECT_TCPIP) {
        int fd = connect_port(ssh_message_channel_request_open_destination_port(message));
        if (fd < 0)
            return 1;
        join_socket(ssh_message_channel_request_open_reply_accept(message), fd);
        return 0;
    }
    if (type == SSH_REQUEST_GLOBAL) {
        const char *address = ssh_message_global_request_address(message);
        int port = ssh_message_global_request_port(message);
        if (subtype == SSH_GLOBAL_REQUEST_TCPIP_FORWARD) {
            int fd = listen_port(&port);
            if (fd < 0)
                return 1;
            listens(fd, address, port);
            return ssh_message_global_request_reply_success(message, port) != SSH_OK;
        }
        for (int i = 0; subtype == SSH_GLOBAL_REQUEST_CANCEL_TCPIP_FORWARD && i < listening; i++)
            if (listeners[i].fd >= 0 && listeners[i].port == port && is(listeners[i].address, address)) {
                close(listeners[i].fd);
                listeners[i].fd = -1;
                return ssh_message_global_request_reply_success(message, 0) != SSH_OK;
            }
    }
    return 1;
}

/* Opens a channel for each connection that arrived. */
static void accept_all(void) {
    for (int i = 0; i < listening; i++) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof from;
        int fd = listeners[i].fd < 0
            ? -1 : accept4(listeners[i].fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        ssh_channel channel = ssh_channel_new(session);
        int opened = listeners[i].address
            ? ssh_channel_open_reverse_forward(channel, listeners[i].address, listeners[i].port,
                                               inet_ntoa(from.sin_addr), ntohs(from.sin_port))
            : ssh_channel_open_auth_agent(channel);
        if (opened == SSH_OK)
            join_socket(channel, fd);
        else
            close(fd);
    }
}

static void serve(ssh_bind binding, int fd) {
    uint64_t rekey = MIB;
    int method = is(scenario, "password")               ? SSH_AUTH_METHOD_PASSWORD
                 : is(scenario, "keyboard-interactive") ? SSH_AUTH_METHOD_INTERACTIVE
                                                        : SSH_AUTH_METHOD_PUBLICKEY;
    struct ssh_server_callbacks_struct callbacks = {.channel_open_request_session_function = on_session};
    if (method == SSH_AUTH_METHOD_PASSWORD)
        callbacks.auth_password_function = on_password;
    if (method == SSH_AUTH_METHOD_PUBLICKEY)
        callbacks.auth_pubkey_function = on_key;
    ssh_callbacks_init(&callbacks);
    session = ssh_new();
    if (is(scenario, "rekey-load"))
        ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &rekey);
    check(ssh_bind_accept_fd(binding, session, fd) == SSH_OK);
    ssh_set_auth_methods(session, method);
    ssh_set_server_callbacks(session, &callbacks);
    ssh_set_message_callback(session, on_message, NULL);
    check(ssh_handle_key_exchange(session) == SSH_OK);
    event = ssh_event_new();
    check(ssh_event_add_session(event, session) == SSH_OK);
    while (ssh_is_connected(session) && ssh_event_dopoll(event, turn_links() ? 0 : 2) != SSH_ERROR)
        accept_all();
}

static void server(void) {
    int port = 0, listener = listen_port(&port);
    bool no = false;
    ssh_bind binding = ssh_bind_new();
    ssh_bind_options_set(binding, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
    ssh_bind_options_set(binding, SSH_BIND_OPTIONS_HOSTKEY, getenv("PEER_HOST_KEY_FILE"));
    printf("listening %d\n", port);
    fflush(stdout);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 && fork() == 0) {
            close(listener);
            serve(binding, fd);
            _exit(0);
        }
        close(fd);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
    }
}

static void unknown(const char *reason) {
    puts(reason);
    exit(77);
}

int main(int count, char **arguments) {
    const char *role = count > 1 ? arguments[1] : "";
    scenario = arguments[count - 1];
    ssh_init();
    if (is(role, "version")) {
        printf("libssh %s\n", ssh_version(0));
    } else if (is(role, "client") && count == 6) {
        if (is(scenario, "dynamic-forward"))
            unknown("libssh's client has no SOCKS.");
        if (is(scenario, "remote-unix-forward"))
            unknown("libssh's client cannot ask for a UNIX socket to listen on.");
        client(arguments[2], arguments[3], arguments[4]);
    } else if (is(role, "server") && count == 3) {
        if (is(scenario, "unix-forward") || is(scenario, "remote-unix-forward"))
            unknown("libssh's server forwards no UNIX sockets.");
        server();
    } else {
        fputs("see README.md\n", stderr);
        return 2;
    }
}
