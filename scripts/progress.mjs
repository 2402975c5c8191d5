// Shows a series of steps: one line a step, redrawn in place on a terminal, plain lines elsewhere.

const GREEN = '\x1b[32m';
const RED = '\x1b[31m';
const DIM = '\x1b[2m';
const RESET = '\x1b[0m';
const FRAMES = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';

export function makeProgress(total, out = process.stderr) {
  const live = out.isTTY === true && process.env.TERM !== 'dumb';
  let index = 0;
  let timer;
  let title = '';
  let detail = '';
  let began = 0;

  const seconds = () => `${((Date.now() - began) / 1000).toFixed(1)} s`;
  const number = () => `[${index}/${total}]`;
  const draw = (frame) => {
    const room = Math.max(20, (out.columns || 80) - 1);
    const text = `${FRAMES[frame % FRAMES.length]} ${number()} ${title} ${detail}`.slice(0, room - 9);
    out.write(`\r\x1b[2K${text} ${DIM}${seconds()}${RESET}`);
  };
  const finish = (mark, colour, text) => {
    clearInterval(timer);
    if (live) out.write(`\r\x1b[2K${colour}${mark}${RESET} ${number()} ${text}\n`);
    else out.write(`${mark} ${number()} ${text}\n`);
  };

  return {
    begin(name) {
      index += 1;
      title = name;
      detail = '';
      began = Date.now();
      if (!live) return out.write(`  ${number()} ${name} ...\n`);
      let frame = 0;
      draw(frame);
      timer = setInterval(() => draw(++frame), 100);
    },
    /** What the running step is doing, one short sentence. */
    say(sentence) {
      if (!live && sentence !== detail) out.write(`      ${sentence}\n`);
      detail = sentence;
    },
    done() {
      finish('✓', GREEN, `${title} (${seconds()})`);
    },
    failed() {
      finish('✗', RED, title);
    },
    skip(name) {
      index += 1;
      if (live) out.write(`${DIM}✓ [${index}/${total}] ${name}${RESET}\n`);
    },
  };
}
