/**
 * The sources under test: every example of `docs/examples/senders`, and a few that show what goes wrong. Importing this puts the
 * vendors' keys in place of the network.
 */
import * as z from 'zod'
import { acrobatSign } from '../../docs/examples/senders/acrobat-sign.ts'
import { adobeIoEvents } from '../../docs/examples/senders/adobe-io.ts'
import { adyenPayments } from '../../docs/examples/senders/adyen-payments.ts'
import { adyenPlatform } from '../../docs/examples/senders/adyen-platform.ts'
import { aircall } from '../../docs/examples/senders/aircall.ts'
import { amazonConnect } from '../../docs/examples/senders/amazon-connect.ts'
import { amazonSns } from '../../docs/examples/senders/amazon-sns.ts'
import { awsIot } from '../../docs/examples/senders/aws-iot.ts'
import { bigCommerce } from '../../docs/examples/senders/bigcommerce.ts'
import { braze } from '../../docs/examples/senders/braze.ts'
import { structuredCloudEvents } from '../../docs/examples/senders/cloud-events.ts'
import { binaryCloudEvents } from '../../docs/examples/senders/cloud-events-binary.ts'
import { customerIo } from '../../docs/examples/senders/customer-io.ts'
import { dataverse } from '../../docs/examples/senders/dataverse.ts'
import { docuSign } from '../../docs/examples/senders/docusign.ts'
import { dropboxSign } from '../../docs/examples/senders/dropbox-sign.ts'
import { encompass } from '../../docs/examples/senders/encompass.ts'
import { azureEventGrid } from '../../docs/examples/senders/event-grid.ts'
import { freshdesk } from '../../docs/examples/senders/freshdesk.ts'
import { googlePubSub } from '../../docs/examples/senders/google-pub-sub.ts'
import { unwrappedPubSub } from '../../docs/examples/senders/google-pub-sub-unwrapped.ts'
import { intercom } from '../../docs/examples/senders/intercom.ts'
import { journeyOptimizer } from '../../docs/examples/senders/journey-optimizer.ts'
import { klaviyo } from '../../docs/examples/senders/klaviyo.ts'
import { lightspeed } from '../../docs/examples/senders/lightspeed.ts'
import { mailchimp } from '../../docs/examples/senders/mailchimp.ts'
import { mandrill } from '../../docs/examples/senders/mandrill.ts'
import { marketo } from '../../docs/examples/senders/marketo.ts'
import { microsoftGraph } from '../../docs/examples/senders/microsoft-graph.ts'
import { okta } from '../../docs/examples/senders/okta.ts'
import { payPal } from '../../docs/examples/senders/paypal.ts'
import { plaid } from '../../docs/examples/senders/plaid.ts'
import { qstash } from '../../docs/examples/senders/qstash.ts'
import { ringCentral } from '../../docs/examples/senders/ringcentral.ts'
import { rudderStack } from '../../docs/examples/senders/rudderstack.ts'
import { salesforceFlow } from '../../docs/examples/senders/salesforce-flow.ts'
import { salesforceMarketingCloud } from '../../docs/examples/senders/salesforce-marketing-cloud.ts'
import { salesforceOutboundMessage } from '../../docs/examples/senders/salesforce-outbound-message.ts'
import { sapEventMesh } from '../../docs/examples/senders/sap-event-mesh.ts'
import { segment } from '../../docs/examples/senders/segment.ts'
import { shopifyTopics } from '../../docs/examples/senders/shopify-topics.ts'
import { tealium } from '../../docs/examples/senders/tealium.ts'
import { toast } from '../../docs/examples/senders/toast.ts'
import { twilioFlex } from '../../docs/examples/senders/twilio-flex.ts'
import { twilioTaskRouter } from '../../docs/examples/senders/twilio-taskrouter.ts'
import { vonage } from '../../docs/examples/senders/vonage.ts'
import { whatsApp } from '../../docs/examples/senders/whatsapp.ts'
import { wise } from '../../docs/examples/senders/wise.ts'
import { basic, bearer } from '../../src/edge/auth/index.ts'
import { base64Json, json } from '../../src/edge/source/envelopes.ts'
import { eventTime, id, text } from '../../src/edge/source/schemas.ts'
import { source } from '../../src/edge/source/source.ts'
import type { Source } from '../../src/edge/source/types.ts'
import { type VendorKeys, vendorFetch } from './vendors.ts'

const keys = process.env['TEST_SENDER_KEYS']
if (keys !== undefined) globalThis.fetch = vendorFetch(JSON.parse(keys) as VendorKeys, globalThis.fetch)

export const examples: readonly Source[] = [
  acrobatSign,
  adobeIoEvents,
  adyenPayments,
  adyenPlatform,
  amazonConnect,
  amazonSns,
  awsIot,
  braze,
  binaryCloudEvents,
  structuredCloudEvents,
  customerIo,
  dataverse,
  docuSign,
  encompass,
  azureEventGrid,
  freshdesk,
  unwrappedPubSub,
  googlePubSub,
  journeyOptimizer,
  klaviyo,
  lightspeed,
  mailchimp,
  marketo,
  okta,
  payPal,
  plaid,
  qstash,
  rudderStack,
  salesforceFlow,
  salesforceMarketingCloud,
  salesforceOutboundMessage,
  segment,
  shopifyTopics,
  tealium,
  toast,
  twilioFlex,
  twilioTaskRouter,
  aircall,
  bigCommerce,
  dropboxSign,
  intercom,
  mandrill,
  microsoftGraph,
  ringCentral,
  sapEventMesh,
  vonage,
  whatsApp,
  wise,
]

const tier = z.object({ customer: id(), tier: text() })

export const sources: readonly Source[] = [
  ...examples,
  // SNS with signature version 1: by the password in its endpoint's address.
  source('sns-basic', {
    auth: basic(),
    schema: z.object({ MessageId: id(), Timestamp: eventTime(), Message: json(tier) }),
    eventId: (e) => e.MessageId,
    occurredAt: (e) => e.Timestamp,
    map: ({ Message: event }) => ({ visitor: { thirdPartyId: event.customer }, attributes: { tier: event.tier } }),
  }),
  // Pub/Sub with a header of its own, and a message of which nothing else is needed.
  source('pub-sub-bearer', {
    auth: bearer(),
    schema: z.object({
      message: z.object({ messageId: id(), data: base64Json(z.object({ customer: id(), store: text() })) }),
    }),
    eventId: ({ message }) => message.messageId,
    map: ({ message: { data } }) => ({ visitor: { thirdPartyId: data.customer }, attributes: { store: data.store } }),
  }),
  source('no-secret', { auth: bearer(), schema: tier, map: () => null }),
  source('misread', {
    auth: bearer(),
    schema: z.looseObject({}),
    map: (e) => ({ visitor: { thirdPartyId: String((e['user'] as { id: string }).id) }, attributes: {} }),
  }),
]
