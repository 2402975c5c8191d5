/**
 * A program in the place of stage, or of a supervisor, that says whatever a test wants: messages of SAY in hexadecimal,
 * separated by commas, each with as many descriptors as it has "+" before it. Then it exits with 3. With ACCEPT set,
 * descriptor 3 is a listening socket, and it says all this once it has been asked something.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../runtime/kernel/addon.js';

const SOURCE = `
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
int main(void) {
  int to = 3;
  if (getenv("ACCEPT")) {
    char question[64];
    fcntl(3, F_SETFL, 0);
    to = accept(3, NULL, NULL);
    recv(to, question, sizeof question, 0);
  }
  char *say = getenv("SAY");
  for (char *word = strtok(say, ","); word; word = strtok(NULL, ",")) {
    static unsigned char bytes[1 << 16];
    size_t size = 0, fds = strspn(word, "+");
    for (char *at = word + fds; at[0] && at[1]; at += 2) {
      char pair[3] = { at[0], at[1], 0 };
      bytes[size++] = strtol(pair, NULL, 16);
    }
    struct { struct cmsghdr header; int fd[8]; } control = { { CMSG_LEN(fds * sizeof(int)), SOL_SOCKET, SCM_RIGHTS }, { 0 } };
    struct iovec part = { bytes, size };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fds > 0) { message.msg_control = &control; message.msg_controllen = CMSG_LEN(fds * sizeof(int)); }
    sendmsg(to, &message, MSG_NOSIGNAL);
  }
  return 3;
}
`;

export interface Liar {
  /** The program, for spawn. */
  readonly fd: number;
  close(): void;
}

export function compileLiar(): Liar {
  const folder = mkdtempSync(join(tmpdir(), 'tare-liar-'));
  try {
    writeFileSync(join(folder, 'liar.c'), SOURCE);
    execFileSync('gcc', ['-o', join(folder, 'liar'), join(folder, 'liar.c')]);
    const fd = native.sealedMemfd('liar', readFileSync(join(folder, 'liar')));
    return { fd, close: () => native.close(fd) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
