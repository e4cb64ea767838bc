// The scenarios of ../README.md with Go's x/crypto/ssh, as a client and as a server.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/sys/unix"
)

const mib = 1 << 20

var version = "x/crypto"

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

func assert(right bool, what ...any) {
	if !right {
		log.Panic(what...)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func unknown(reason string) {
	fmt.Println(reason)
	os.Exit(77)
}

func noise(size int) []byte {
	bytes := make([]byte, size)
	must(rand.Read(bytes))
	return bytes
}

type duplex interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// join carries bytes and ends both ways, then closes both.
func join(one, other duplex) {
	carry := func(source, sink duplex, done chan<- bool) {
		io.Copy(sink, source)
		sink.CloseWrite()
		done <- true
	}
	done := make(chan bool, 2)
	go carry(one, other, done)
	go carry(other, one, done)
	<-done
	<-done
	one.Close()
	other.Close()
}

// ---------------------------------------------------------------- client

func connect(address, user, scenario string) *ssh.Client {
	config := ssh.ClientConfig{
		User:            user,
		HostKeyCallback: must(knownhosts.New(os.Getenv("PEER_HOST_KEY"))),
		// It offers the types it likes best, whatever key is known.
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	}
	secret := os.Getenv("PEER_PASSWORD")
	switch scenario {
	case "password":
		config.Auth = []ssh.AuthMethod{ssh.Password(secret)}
	case "keyboard-interactive":
		config.Auth = []ssh.AuthMethod{ssh.KeyboardInteractive(
			func(_, _ string, prompts []string, echoed []bool) (answers []string, err error) {
				for i, prompt := range prompts {
					assert(strings.Contains(prompt, "assword:") && !echoed[i], prompt)
					answers = append(answers, secret)
				}
				return
			})}
	default:
		key := must(ssh.ParsePrivateKey(must(os.ReadFile(os.Getenv("PEER_KEY")))))
		config.Auth = []ssh.AuthMethod{ssh.PublicKeys(key)}
	}
	if scenario == "rekey-load" {
		config.RekeyThreshold = mib
	}
	return must(ssh.Dial("tcp", address, &config))
}

func assertStatus(err error, status int) {
	var exit *ssh.ExitError
	switch {
	case status == 0:
		check(err)
	case errors.As(err, &exit):
		assert(exit.ExitStatus() == status, err)
	default:
		log.Panicf("status %d expected: %v", status, err)
	}
}

// run has a session that was prepared run a command, which must end with status.
func run(session *ssh.Session, command string, status int, input []byte) (string, string) {
	var stdout, stderr bytes.Buffer
	session.Stdin, session.Stdout, session.Stderr = bytes.NewReader(input), &stdout, &stderr
	assertStatus(session.Run(command), status)
	return stdout.String(), stderr.String()
}

const terminal = `exec bash -c 'trap "echo resized; stty size" WINCH; tty; echo term=$TERM; stty size;
echo ready; while read -r line; do echo "[$line]"; test "$line" = end && exit 7; done'`

func playTerminal(session *ssh.Session) {
	check(session.RequestPty("vt220", 33, 101, ssh.TerminalModes{}))
	stdin, stdout := must(session.StdinPipe()), must(session.StdoutPipe())
	check(session.Start(terminal))
	screen := ""
	expect := func(texts ...string) {
		for _, text := range texts {
			for !strings.Contains(screen, text) {
				part := make([]byte, 4096)
				n, err := stdout.Read(part)
				assert(err == nil, err, screen)
				screen += string(part[:n])
			}
		}
	}
	expect("/dev/", "term=vt220", "33 101", "ready")
	check(session.WindowChange(44, 122))
	must(io.WriteString(stdin, "hello\r"))
	expect("resized", "44 122", "[hello]")
	must(io.WriteString(stdin, "end\r"))
	expect("[end]")
	assertStatus(session.Wait(), 7)
}

func playSignal(session *ssh.Session) {
	stdout := must(session.StdoutPipe())
	check(session.Start("echo up; exec sleep 60"))
	must(io.ReadFull(stdout, make([]byte, 3)))
	check(session.Signal(ssh.SIGTERM))
	var exit *ssh.ExitError
	err := session.Wait()
	// It counts 128 and the signal as a status where none was sent.
	assert(errors.As(err, &exit) && exit.Signal() == "TERM" && exit.ExitStatus() == 128+15, err)
}

func playSubsystem(session *ssh.Session) {
	stdin, stdout := must(session.StdinPipe()), must(session.StdoutPipe())
	check(session.RequestSubsystem("sftp"))
	must(stdin.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3}))
	answer := make([]byte, 9)
	must(io.ReadFull(stdout, answer))
	assert(bytes.Equal(answer[4:], []byte{2, 0, 0, 0, 3}), answer)
	check(stdin.Close())
}

func assertEchoes(dial func() (net.Conn, error)) {
	for i := 0; i < 3; i++ {
		conn := must(dial())
		sent := noise(mib)
		go func() {
			must(conn.Write(sent))
			check(conn.(duplex).CloseWrite())
		}()
		assert(bytes.Equal(must(io.ReadAll(conn)), sent), "the echo differs")
		conn.Close()
	}
}

// assertForwards sees that what a listener at the server takes comes back, and that after it is
// cancelled nothing is taken.
func assertForwards(listener net.Listener, network string) {
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go join(conn.(duplex), must(net.Dial("tcp", echo())).(duplex))
		}
	}()
	dial := func() (net.Conn, error) { return net.Dial(network, listener.Addr().String()) }
	assertEchoes(dial)
	check(listener.Close())
	for {
		conn, err := dial()
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(20 * time.Millisecond)
	}
}

func echo() string {
	return "127.0.0.1:" + os.Getenv("PEER_ECHO_PORT")
}

func client(address, user, scenario string) {
	if scenario == "dynamic-forward" {
		unknown("Go's x/crypto/ssh has no SOCKS.")
	}
	client := connect(address, user, scenario)
	session := func() *ssh.Session { return must(client.NewSession()) }
	switch scenario {
	case "password", "publickey", "publickey-ecdsa", "keyboard-interactive":
		out, _ := run(session(), "echo logged in", 0, nil)
		assert(out == "logged in\n", out)
	case "exec-status":
		for _, status := range []int{0, 1, 42, 255} {
			out, _ := run(session(), fmt.Sprintf("echo out-%[1]d; exit %[1]d", status), status, nil)
			assert(out == fmt.Sprintf("out-%d\n", status), out)
		}
		sent := noise(300_001)
		out, _ := run(session(), "cat; exit 3", 3, sent)
		assert(out == string(sent), len(out))
	case "stderr":
		out, err := run(session(), "echo out; echo err >&2; head -c 500000 /dev/zero >&2; echo end", 0, nil)
		assert(out == "out\nend\n", out)
		assert(err == "err\n"+strings.Repeat("\000", 500_000), len(err))
	case "env":
		session := session()
		check(session.Setenv("LC_INTEROP", "set"))
		out, _ := run(session, `echo "[$LC_INTEROP]"`, 0, nil)
		assert(out == "[set]\n", out)
	case "pty":
		playTerminal(session())
	case "signal":
		playSignal(session())
	case "subsystem":
		playSubsystem(session())
	case "local-forward":
		assertEchoes(func() (net.Conn, error) { return client.Dial("tcp", echo()) })
	case "unix-forward":
		assertEchoes(func() (net.Conn, error) { return client.Dial("unix", os.Getenv("PEER_ECHO_SOCKET")) })
	case "remote-forward":
		assertForwards(must(client.Listen("tcp", "127.0.0.1:0")), "tcp")
	case "remote-unix-forward":
		assertForwards(must(client.ListenUnix(os.Getenv("PEER_TMP")+"/there")), "unix")
	case "agent-forward":
		check(agent.ForwardToRemote(client, os.Getenv("SSH_AUTH_SOCK")))
		session := session()
		check(agent.RequestAgentForwarding(session))
		out, _ := run(session, "ssh-add -T '"+os.Getenv("PEER_KEY")+".pub' && echo signed", 0, nil)
		assert(out == "signed\n", out)
	case "rekey-load":
		sent := noise(8 * mib)
		out, _ := run(session(), "cat", 0, sent)
		assert(out == string(sent), len(out))
	default:
		log.Panic("see README.md")
	}
	check(client.Close())
}

// ---------------------------------------------------------------- server

func serverConfig(scenario string) *ssh.ServerConfig {
	config := &ssh.ServerConfig{}
	judge := func(conn ssh.ConnMetadata, right bool) (*ssh.Permissions, error) {
		if right && conn.User() == os.Getenv("PEER_USER") {
			return nil, nil
		}
		return nil, errors.New("refused")
	}
	secret, hasSecret := os.LookupEnv("PEER_PASSWORD")
	switch scenario {
	case "password":
		config.PasswordCallback = func(conn ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			return judge(conn, hasSecret && string(password) == secret)
		}
	case "keyboard-interactive":
		config.KeyboardInteractiveCallback = func(conn ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			answers, err := ask("", "", []string{"Password: "}, []bool{false})
			return judge(conn, err == nil && hasSecret && len(answers) == 1 && answers[0] == secret)
		}
	default:
		line, hasKey := os.LookupEnv("PEER_AUTHORIZED_KEY")
		config.PublicKeyCallback = func(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			authorized := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
			return judge(conn, hasKey && authorized == line)
		}
	}
	config.AddHostKey(must(ssh.ParsePrivateKey(must(os.ReadFile(os.Getenv("PEER_HOST_KEY_FILE"))))))
	if scenario == "rekey-load" {
		config.RekeyThreshold = mib
	}
	return config
}

// What RFC 4254 7.1, 7.2 and PROTOCOL 2.4 of OpenSSH put into messages.
type tcpAddress struct {
	Host string
	Port uint32
}
type directTCP struct {
	Host       string
	Port       uint32
	Origin     string
	OriginPort uint32
}
type unixAddress struct{ Path string }
type forwardedUnix struct{ Path, Reserved string }

func (a tcpAddress) String() string {
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

type connection struct {
	*ssh.ServerConn
	lock      sync.Mutex
	listeners map[string]net.Listener
}

// openFor opens a channel for each connection that listener takes.
func (c *connection) openFor(listener net.Listener, kind string, data func(net.Conn) any) {
	for {
		stream, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			var extra []byte
			if data != nil {
				extra = ssh.Marshal(data(stream))
			}
			channel, requests, err := c.OpenChannel(kind, extra)
			if err != nil {
				log.Print(err)
				stream.Close()
				return
			}
			go ssh.DiscardRequests(requests)
			join(stream.(duplex), channel)
		}()
	}
}

// forward answers a global request; the reply says which port was taken where the server chose.
func (c *connection) forward(request *ssh.Request) ([]byte, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	var tcp tcpAddress
	var local unixAddress
	cancel := func(name string) ([]byte, error) {
		listener, known := c.listeners[name]
		if !known {
			return nil, errors.New("no such listener")
		}
		delete(c.listeners, name)
		return nil, listener.Close()
	}
	switch request.Type {
	case "tcpip-forward":
		if err := ssh.Unmarshal(request.Payload, &tcp); err != nil {
			return nil, err
		}
		listener, err := net.Listen("tcp", tcp.String())
		if err != nil {
			return nil, err
		}
		var reply []byte
		if tcp.Port == 0 {
			tcp.Port = uint32(listener.Addr().(*net.TCPAddr).Port)
			reply = binary.BigEndian.AppendUint32(nil, tcp.Port)
		}
		c.listeners[tcp.String()] = listener
		go c.openFor(listener, "forwarded-tcpip", func(stream net.Conn) any {
			from := stream.RemoteAddr().(*net.TCPAddr)
			return directTCP{tcp.Host, tcp.Port, from.IP.String(), uint32(from.Port)}
		})
		return reply, nil
	case "cancel-tcpip-forward":
		if err := ssh.Unmarshal(request.Payload, &tcp); err != nil {
			return nil, err
		}
		return cancel(tcp.String())
	case "streamlocal-forward@openssh.com":
		if err := ssh.Unmarshal(request.Payload, &local); err != nil {
			return nil, err
		}
		listener, err := net.Listen("unix", local.Path)
		if err != nil {
			return nil, err
		}
		c.listeners[local.Path] = listener
		go c.openFor(listener, "forwarded-streamlocal@openssh.com", func(net.Conn) any {
			return forwardedUnix{local.Path, ""}
		})
		return nil, nil
	case "cancel-streamlocal-forward@openssh.com":
		if err := ssh.Unmarshal(request.Payload, &local); err != nil {
			return nil, err
		}
		return cancel(local.Path)
	}
	return nil, errors.New("unknown")
}

// open answers a channel that the client opens.
func (c *connection) open(asked ssh.NewChannel) {
	var stream net.Conn
	var err error
	switch asked.ChannelType() {
	case "session":
		channel, requests, err := asked.Accept()
		check(err)
		(&session{connection: c, channel: channel, env: os.Environ()}).serve(requests)
		return
	case "direct-tcpip":
		var address directTCP
		check(ssh.Unmarshal(asked.ExtraData(), &address))
		stream, err = net.Dial("tcp", tcpAddress{address.Host, address.Port}.String())
	case "direct-streamlocal@openssh.com":
		var address struct {
			Path, Reserved string
			Number         uint32
		}
		check(ssh.Unmarshal(asked.ExtraData(), &address))
		stream, err = net.Dial("unix", address.Path)
	default:
		asked.Reject(ssh.UnknownChannelType, asked.ChannelType())
		return
	}
	if err != nil {
		asked.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := asked.Accept()
	check(err)
	go ssh.DiscardRequests(requests)
	join(stream.(duplex), channel)
}

type session struct {
	*connection
	channel       ssh.Channel
	env           []string
	master, slave *os.File
	command       *exec.Cmd
}

type windowSize struct{ Columns, Rows, X, Y uint32 }

func (s *session) resize(size windowSize) error {
	return unix.IoctlSetWinsize(int(s.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{
		Row: uint16(size.Rows), Col: uint16(size.Columns), Xpixel: uint16(size.X), Ypixel: uint16(size.Y),
	})
}

func (s *session) openTerminal(size windowSize) (err error) {
	if s.master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		return err
	}
	// Fd makes the file blocking, so that closing it does not end a read; a slave that closes does.
	number, err := unix.IoctlGetInt(int(s.master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return err
	}
	if err = unix.IoctlSetPointerInt(int(s.master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return err
	}
	s.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	return s.resize(size)
}

func (s *session) serve(requests <-chan *ssh.Request) {
	for request := range requests {
		err := s.answer(request)
		if err != nil {
			log.Print(request.Type, ": ", err)
		}
		request.Reply(err == nil, nil)
		if err == nil && (request.Type == "exec" || request.Type == "subsystem") {
			s.start()
		}
	}
}

func (s *session) answer(request *ssh.Request) error {
	switch request.Type {
	case "env":
		var variable struct{ Name, Value string }
		if err := ssh.Unmarshal(request.Payload, &variable); err != nil {
			return err
		}
		s.env = append(s.env, variable.Name+"="+variable.Value)
		return nil
	case "pty-req":
		var terminal struct {
			Type                string
			Columns, Rows, X, Y uint32
			Modes               string
		}
		if err := ssh.Unmarshal(request.Payload, &terminal); err != nil {
			return err
		}
		s.env = append(s.env, "TERM="+terminal.Type)
		return s.openTerminal(windowSize{terminal.Columns, terminal.Rows, terminal.X, terminal.Y})
	case "window-change":
		var size windowSize
		if err := ssh.Unmarshal(request.Payload, &size); err != nil {
			return err
		}
		return s.resize(size)
	case "auth-agent-req@openssh.com":
		path := fmt.Sprintf("%s/agent-%p", os.Getenv("PEER_TMP"), s)
		listener, err := net.Listen("unix", path)
		if err != nil {
			return err
		}
		s.env = append(s.env, "SSH_AUTH_SOCK="+path)
		go s.openFor(listener, "auth-agent@openssh.com", nil)
		return nil
	case "exec", "subsystem":
		var text struct{ Text string }
		if err := ssh.Unmarshal(request.Payload, &text); err != nil {
			return err
		}
		s.command = exec.Command("/bin/sh", "-c", text.Text)
		if request.Type == "subsystem" {
			s.command = exec.Command("/usr/lib/openssh/sftp-server")
		}
		s.command.Env = s.env
		return nil
	case "signal":
		var signal struct{ Name string }
		if err := ssh.Unmarshal(request.Payload, &signal); err != nil {
			return err
		}
		return s.command.Process.Signal(unix.SignalNum("SIG" + signal.Name))
	}
	return errors.New("unknown")
}

// start runs the command and carries its streams; the requests go on meanwhile.
func (s *session) start() {
	var stdin io.WriteCloser
	var outputs sync.WaitGroup
	give := func(sink io.Writer, source io.Reader) {
		outputs.Add(1)
		go func() {
			io.Copy(sink, source)
			outputs.Done()
		}()
	}
	if s.master == nil {
		stdin = must(s.command.StdinPipe())
		stdout, stderr := must(s.command.StdoutPipe()), must(s.command.StderrPipe())
		check(s.command.Start())
		give(s.channel, stdout)
		give(s.channel.Stderr(), stderr)
	} else {
		s.command.Stdin, s.command.Stdout, s.command.Stderr = s.slave, s.slave, s.slave
		s.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		check(s.command.Start())
		s.slave.Close()
		stdin = s.master
		give(s.channel, s.master)
	}
	go func() {
		io.Copy(stdin, s.channel)
		if s.master == nil {
			stdin.Close()
		}
	}()
	go func() {
		outputs.Wait()
		s.command.Wait()
		status := s.command.ProcessState.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			name := strings.TrimPrefix(unix.SignalName(status.Signal()), "SIG")
			s.channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
				Name          string
				Core          bool
				Message, Lang string
			}{Name: name}))
		} else {
			s.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status.ExitStatus())}))
		}
		s.channel.Close()
	}()
}

func serve(stream net.Conn, config *ssh.ServerConfig) {
	conn, channels, requests, err := ssh.NewServerConn(stream, config)
	if err != nil {
		log.Print(err)
		return
	}
	c := &connection{ServerConn: conn, listeners: map[string]net.Listener{}}
	go func() {
		for request := range requests {
			reply, err := c.forward(request)
			request.Reply(err == nil, reply)
		}
	}()
	for asked := range channels {
		go c.open(asked)
	}
	for _, listener := range c.listeners {
		listener.Close()
	}
}

func server(scenario string) {
	config := serverConfig(scenario)
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	fmt.Println("listening", listener.Addr().(*net.TCPAddr).Port)
	for {
		go serve(must(listener.Accept()), config)
	}
}

func main() {
	time.AfterFunc(55*time.Second, func() {
		if os.Args[1] == "client" {
			log.Panic("not done in time")
		}
	})
	switch {
	case len(os.Args) == 2 && os.Args[1] == "version":
		fmt.Println("Go", version)
	case len(os.Args) == 6 && os.Args[1] == "client":
		client(net.JoinHostPort(os.Args[2], os.Args[3]), os.Args[4], os.Args[5])
	case len(os.Args) == 3 && os.Args[1] == "server":
		server(os.Args[2])
	default:
		log.Fatal("see README.md")
	}
}
