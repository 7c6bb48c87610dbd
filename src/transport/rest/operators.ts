/** Whether a path is for those who look after the server, who are answered whatever else goes on and however often they ask. */
export function isForOperators(pathname: string): boolean {
  return /^\/(health|ready|metrics)\/?$/.test(pathname);
}
