// Named checks in order: each is printed as it comes, one failure does not hide the others. `run.py` counts the lines.

export class Failed extends Error {}

// A table of checks is a list of [area, name, function of the state]; a function returns what was seen, or throws.
export async function run(table, state) {
  let failed = 0;
  for (const [area, name, check] of table) {
    try {
      const seen = await check(state);
      console.log(`ok    ${area}: ${name}${seen === undefined ? "" : ` (${seen})`}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL  ${area}: ${name}: ${String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 600)}`);
    }
  }
  return failed;
}

export function equal(found, wanted, what) {
  const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (one !== other) throw new Failed(`${what} is ${one}, not ${other}`);
}

export function holds(condition, what) {
  if (!condition) throw new Failed(what);
}

// The client's own error of one type; `says` must be in its message.
export async function refused(call, type, says) {
  let answered;
  try {
    answered = await call();
  } catch (error) {
    equal(error.type, type, `the client's error (${error.message})`);
    holds(error.message.includes(says), `${JSON.stringify(says)} is not in ${error.message}`);
    return `${error.type}: ${error.message.slice(0, 120)}`;
  }
  throw new Failed(`it was taken: ${JSON.stringify(answered)}`);
}

export async function eventually(check, what, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < deadline) {
    last = await check();
    if (last.done) return last.value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Failed(`waited ${seconds} s for ${what}; last seen: ${JSON.stringify(last?.value)}`);
}

// Wait for a state; any other end is told at once.
export async function reaches(read, wanted) {
  return eventually(async () => {
    const state = await read();
    if (state === "TERMINATED" && wanted !== state) throw new Failed(`it ended as ${state}, not ${wanted}`);
    return { done: state === wanted, value: state };
  }, wanted);
}
