/** One clear sentence for the person, for each way in which a request to the model can fail: the same in every harness. */

export const AGAIN = 'please try again in a while';

export const BROKEN_OFF = `The model's answer broke off in the middle; ${AGAIN}.`;
export const UNREACHABLE = `The model endpoint cannot be reached; ${AGAIN}.`;

/** `what` is the end of a library's own complaint. */
export function noModelAnswer(what: string): string {
  return `The model endpoint answered with something that is no model answer (${short(what)}).`;
}

/** An answer with an error status; `body` is what came with it. */
export function statusSentence(status: number, body: string): string {
  const reason = explain(body);
  const why = reason === '' ? '' : `: ${reason}`;
  switch (status) {
    case 401:
      return `The model endpoint does not accept the credential${why}. The operator can set it again with \`glass secret set\`.`;
    case 402:
      return `The budget for the model is used up${why}.`;
    case 403:
      return `The model request is not allowed${why}.`;
    case 404:
      return `The model endpoint does not know the configured model${why}.`;
    case 413:
      return `This conversation has become too large for the model endpoint${why}.`;
    case 429:
      return `The model endpoint takes no more requests at the moment${why}; ${AGAIN}.`;
    case 502:
    case 503:
      return `The model endpoint cannot be reached${why}; ${AGAIN}.`;
    case 504:
      return `The model endpoint did not answer in time${why}; ${AGAIN}.`;
    default:
      return status >= 500
        ? `The model endpoint failed (${status})${why}; ${AGAIN}.`
        : `The model endpoint refused the request (${status})${why}.`;
  }
}

/** The reason in an error's body: the gateway says `{reason, try}`, model endpoints `{error: {message}}`. */
function explain(body: string): string {
  try {
    const json = JSON.parse(body);
    if (typeof json.reason === 'string') return short(json.try ? `${json.reason} (${json.try})` : json.reason);
    if (typeof json.error?.message === 'string') return short(json.error.message);
    return typeof json.error === 'string' ? short(json.error) : '';
  } catch {
    return '';
  }
}

function short(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim().replace(/\.$/, '');
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
