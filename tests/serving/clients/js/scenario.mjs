// Runs one scenario by its name and prints what it returns as JSON.

export const origin = process.env.SLUICE_URL;
export const apiKey = process.env.SLUICE_KEY;
export const given = JSON.parse(process.env.SLUICE_GIVEN ?? "{}");

export async function run(scenarios) {
  const name = process.argv[2];
  const scenario = scenarios[name];
  if (scenario === undefined) {
    throw new Error(`no scenario is called ${name}`);
  }
  process.stdout.write(JSON.stringify(await scenario()));
}

// What a client throws, as a test can compare it.
export async function refusal(work) {
  try {
    await work();
  } catch (error) {
    return {
      kind: error.constructor.name,
      status: error.status ?? null,
      code: error.code ?? error.error?.error?.code ?? null,
      type: error.type ?? error.error?.error?.type ?? null,
      param: error.param ?? error.error?.error?.param ?? null,
      requestId: error.requestID ?? null,
    };
  }
  throw new Error("nothing was refused");
}
