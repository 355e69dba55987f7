/** The plugin's options; what is not given comes from CATALOGSYNC_URL, CATALOGSYNC_TOKEN and CATALOGSYNC_JOB. */
export interface Options {
  url?: string
  token?: string
  job?: string
  /** Send the token in clear text to another machine. */
  allowPlainHttp?: boolean
}

export interface Settings {
  url: string
  token: string
  job: string
}

/** The settings, or in one sentence what is wrong with them. */
export function readSettings(options: Options, env: NodeJS.ProcessEnv = process.env): Settings | string {
  const settings = {
    url: options.url || env.CATALOGSYNC_URL || "",
    token: options.token || env.CATALOGSYNC_TOKEN || "",
    job: options.job || env.CATALOGSYNC_JOB || "",
  }
  const missing = Object.entries(settings).filter(([, value]) => !value).map(([name]) => name)
  if (missing.length) return `The plugin is not set up: ${missing.join(", ")} missing.`
  const problem = checkUrl(settings.url, options.allowPlainHttp)
  return problem ?? { ...settings, url: settings.url.replace(/\/+$/, "") }
}

function checkUrl(text: string, allowPlainHttp = false): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    return "The plugin is not set up: url must be an address such as https://sync.example.com."
  }
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname)
  if (url.protocol === "http:" && !isLocal && !allowPlainHttp) {
    return "The plugin is not set up: url must be https, because with http others can read the token."
  }
  return undefined
}
