/**
 * xterm makes `<style>` elements while it runs, which the page's Content-Security-Policy allows only with the nonce that the
 * server put into this page. xterm has no option for it, so every style element made through the document gets the nonce.
 */
export function giveStylesTheNonce(): void {
  const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content;
  if (!nonce) return;
  const create = document.createElement;
  document.createElement = function (this: Document, ...args: Parameters<Document['createElement']>) {
    const element = create.apply(this, args);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  } as Document['createElement'];
}
