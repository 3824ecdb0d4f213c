//! A gRPC service with the four kinds of call, and its client, as generated code would have them.
//!
//! Requests with the text `fail` end with a status that carries details and metadata.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::Uri;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::{
    ClientStreamingService, ServerStreamingService, StreamingService, UnaryService,
};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, IntoStreamingRequest, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::promise::expect;
use crate::scripted::{ephemeral, listen};
use crate::tls;

/// The only message: both what is asked and what is answered.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Note {
    /// Any text.
    #[prost(string, tag = "1")]
    pub text: String,
    /// Any number.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

impl Note {
    /// A message.
    pub fn new(text: &str, number: u64) -> Self {
        Self {
            text: text.to_owned(),
            number,
        }
    }
}

type Notes = Pin<Box<dyn Stream<Item = Result<Note, Status>> + Send>>;
type Answer<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// The status that a request with the text `fail` ends with.
pub fn failure() -> Status {
    let mut metadata = MetadataMap::new();
    metadata.insert("x-why", MetadataValue::from_static("because"));
    metadata.insert_bin("x-raw-bin", MetadataValue::from_bytes(&[0, 1, 254, 255]));
    let message = "refused: 100 % of it, für immer";
    let details = Bytes::from_static(&[8, 0, 255]);
    Status::with_details_and_metadata(Code::FailedPrecondition, message, details, metadata)
}

/// Answers with the metadata `x-sent` of the request.
fn with_metadata<T>(request: &MetadataMap, message: T) -> Response<T> {
    let mut response = Response::new(message);
    if let Some(sent) = request.get("x-sent") {
        response.metadata_mut().insert("x-sent", sent.clone());
    }
    response
}

#[derive(Clone, Copy, Debug)]
struct Echo;

/// One request, the same as the answer.
impl UnaryService<Note> for Echo {
    type Response = Note;
    type Future = Answer<Note>;

    fn call(&mut self, request: Request<Note>) -> Self::Future {
        Box::pin(async move {
            let note = request.get_ref().clone();
            let failed = note.text == "fail";
            if failed {
                Err(failure())
            } else {
                Ok(with_metadata(request.metadata(), note))
            }
        })
    }
}

/// One request, as many answers as its number says, then the failure if its text asks for it.
impl ServerStreamingService<Note> for Echo {
    type Response = Note;
    type ResponseStream = Notes;
    type Future = Answer<Notes>;

    fn call(&mut self, request: Request<Note>) -> Self::Future {
        let note = request.get_ref().clone();
        let end = (note.text == "fail").then(|| Err(failure()));
        let notes = (0..note.number).map(move |number| Ok(Note::new(&note.text, number)));
        let stream: Notes = Box::pin(tokio_stream::iter(notes.chain(end)));
        let response = with_metadata(request.metadata(), stream);
        Box::pin(async move { Ok(response) })
    }
}

/// Many requests, one answer with the sum of their numbers.
impl ClientStreamingService<Note> for Echo {
    type Response = Note;
    type Future = Answer<Note>;

    fn call(&mut self, request: Request<Streaming<Note>>) -> Self::Future {
        Box::pin(async move {
            let metadata = request.metadata().clone();
            let mut notes = request.into_inner();
            let mut sum = 0;
            while let Some(note) = notes.message().await? {
                if note.text == "fail" {
                    return Err(failure());
                }
                sum += note.number;
            }
            Ok(with_metadata(&metadata, Note::new("sum", sum)))
        })
    }
}

/// Many requests, each answered as it comes.
impl StreamingService<Note> for Echo {
    type Response = Note;
    type ResponseStream = Notes;
    type Future = Answer<Notes>;

    fn call(&mut self, request: Request<Streaming<Note>>) -> Self::Future {
        let metadata = request.metadata().clone();
        let notes = request.into_inner().map(|note| match note {
            Ok(note) if note.text == "fail" => Err(failure()),
            other => other,
        });
        let stream: Notes = Box::pin(notes);
        let response = with_metadata(&metadata, stream);
        Box::pin(async move { Ok(response) })
    }
}

#[derive(Clone, Copy, Debug)]
struct Router;

impl tower_service::Service<http::Request<tonic::body::Body>> for Router {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Note, Note>::default());
            Ok(match request.uri().path() {
                "/remora.test.Notes/Unary" => grpc.unary(Echo, request).await,
                "/remora.test.Notes/Server" => grpc.server_streaming(Echo, request).await,
                "/remora.test.Notes/Client" => grpc.client_streaming(Echo, request).await,
                "/remora.test.Notes/Both" => grpc.streaming(Echo, request).await,
                _ => Status::unimplemented("no such call").into_http(),
            })
        })
    }
}

/// A running gRPC server; dropping it stops it.
#[derive(Debug)]
pub struct NotesServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl NotesServer {
    /// Starts on an ephemeral port.
    pub fn start() -> Self {
        let listener = listen(ephemeral());
        let address = listener.local_addr().expect("a bound socket");
        let incoming = TcpListenerStream::new(listener);
        let task = tokio::spawn(async move {
            let _ = Server::builder()
                .serve_with_incoming(Router, incoming)
                .await;
        });
        Self { address, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for NotesServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client of the service.
#[derive(Clone, Debug)]
pub struct NotesClient {
    grpc: tonic::client::Grpc<Channel>,
}

impl NotesClient {
    /// Connects.
    ///
    /// # Panics
    ///
    /// When nobody listens.
    pub async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
        let channel = expect("a gRPC connection", endpoint.connect())
            .await
            .expect("connected");
        Self::of(channel)
    }

    /// Connects inside TLS.
    ///
    /// # Errors
    ///
    /// When nobody listens or the handshake fails.
    pub async fn connect_secured(
        address: SocketAddr,
        config: Arc<ClientConfig>,
    ) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(format!("https://{}", tls::NAME));
        let endpoint = endpoint.expect("an endpoint");
        let connected = endpoint.connect_with_connector(Secured { address, config });
        let channel = expect("a gRPC connection", connected).await?;
        Ok(Self::of(channel))
    }

    fn of(channel: Channel) -> Self {
        Self {
            grpc: tonic::client::Grpc::new(channel),
        }
    }

    /// One request, one answer.
    ///
    /// # Errors
    ///
    /// The status, if it is not OK.
    pub async fn unary(&mut self, request: Request<Note>) -> Result<Response<Note>, Status> {
        self.ready().await;
        let call = self
            .grpc
            .unary(request, path("Unary"), ProstCodec::default());
        expect("the answer to a unary call", call).await
    }

    /// One request, many answers.
    ///
    /// # Errors
    ///
    /// As [`NotesClient::unary`].
    pub async fn server(
        &mut self,
        request: Request<Note>,
    ) -> Result<Response<Streaming<Note>>, Status> {
        self.ready().await;
        let call = self
            .grpc
            .server_streaming(request, path("Server"), ProstCodec::default());
        expect("the head of a server stream", call).await
    }

    /// Many requests, one answer.
    ///
    /// # Errors
    ///
    /// As [`NotesClient::unary`].
    pub async fn client(
        &mut self,
        notes: impl IntoStreamingRequest<Message = Note>,
    ) -> Result<Response<Note>, Status> {
        self.ready().await;
        let request = notes.into_streaming_request();
        let call = self
            .grpc
            .client_streaming(request, path("Client"), ProstCodec::default());
        expect("the answer to a client stream", call).await
    }

    /// Many requests, many answers.
    ///
    /// # Errors
    ///
    /// As [`NotesClient::unary`].
    pub async fn both(
        &mut self,
        notes: impl IntoStreamingRequest<Message = Note>,
    ) -> Result<Response<Streaming<Note>>, Status> {
        self.ready().await;
        let request = notes.into_streaming_request();
        let call = self
            .grpc
            .streaming(request, path("Both"), ProstCodec::default());
        expect("the head of a stream both ways", call).await
    }

    async fn ready(&mut self) {
        expect("a ready gRPC connection", self.grpc.ready())
            .await
            .expect("connected");
    }
}

/// What makes connections inside TLS, wherever a channel is to lead.
struct Secured {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl tower_service::Service<Uri> for Secured {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (address, config) = (self.address, Arc::clone(&self.config));
        Box::pin(async move { tls::connect(address, &config).await.map(TokioIo::new) })
    }
}

fn path(call: &str) -> PathAndQuery {
    format!("/remora.test.Notes/{call}")
        .parse()
        .expect("a path")
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Request};

    use super::{Note, NotesClient, NotesServer};
    use crate::promise::promise;

    #[test]
    fn the_service_answers_its_client() {
        promise(async {
            let server = NotesServer::start();
            let mut client = NotesClient::connect(server.address()).await;
            let reply = client
                .unary(Request::new(Note::new("a", 1)))
                .await
                .expect("OK");
            assert_eq!(reply.into_inner(), Note::new("a", 1));
            let status = client
                .unary(Request::new(Note::new("fail", 1)))
                .await
                .expect_err("fails");
            assert_eq!(status.code(), Code::FailedPrecondition);
            let notes = tokio_stream::iter([Note::new("", 2), Note::new("", 3)]);
            assert_eq!(
                client.client(notes).await.expect("OK").into_inner().number,
                5
            );
        });
    }
}
